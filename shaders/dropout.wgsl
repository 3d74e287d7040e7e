// Dropout as a function of (seed, step, site, index): out = keep ? x·scale : 0, keep ⇔ bits ≥ threshold, scale = 1/(1 − rate).
// The bits of element i are word i mod 2 of threefry with key (seed, step) and counter (site, ⌊i/2⌋): the same on every executor.
// The gradient is the same op on dy: nothing is stored. With rows, element c of x's row r has the index rows[r]·D + c; a row of NONE becomes zero.

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32, site: u32, threshold: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> seed: array<u32>; // [2]
@group(0) @binding(4) var<storage, read> rows: array<u32>; // [R]?

fn keep(i: u32, bits: u32) {
  if (i < p.R * p.D) { out[i] = select(0.0, x[i] * p.scale, bits >= p.threshold); }
}

fn ofRow(i: u32) {
  if (i >= p.R * p.D) { return; }
  let row = rows[i / p.D];
  let index = row * p.D + i % p.D;
  let bits = threefry(vec2<u32>(seed[0], seed[1]), vec2<u32>(p.site, index / 2u));
  keep(i, select(bits.x, bits.y, index % 2u == 1u));
  if (row == NONE) { out[i] = 0.0; }
}

/** One thread two elements, because they share their bits. */
@compute @workgroup_size(GROUP)
fn dropout(here: Here) {
  let pair = elementOf(here);
  if (has(p.present, 4u)) {
    ofRow(2u * pair);
    ofRow(2u * pair + 1u);
    return;
  }
  let bits = threefry(vec2<u32>(seed[0], seed[1]), vec2<u32>(p.site, pair));
  keep(2u * pair, bits.x);
  keep(2u * pair + 1u, bits.y);
}
