// out[n, :] = x[n − by, :] where both rows are of one sequence, else 0; rows past the last sequence are 0.

struct Parameters { accumulate: u32, present: u32, N: u32, D: u32, B: u32, by: i32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // [B + 1]
@group(0) @binding(3) var<storage, read> x: array<f32>;

/** The sequence that row n belongs to: the last one that begins at or before it, found by halving. */
fn sequenceOf(n: u32) -> u32 {
  var first = 0u;
  var end = p.B;
  for (var reach = p.B; reach > 0u; reach = reach >> 1u) {
    let middle = (first + end) / 2u;
    if (offsets[middle] <= n) {
      first = middle;
    } else {
      end = middle;
    }
  }
  return first;
}

@compute @workgroup_size(GROUP)
fn shift(here: Here) {
  let i = elementOf(here);
  if (i >= p.N * p.D) { return; }
  let n = i / p.D;
  var value = 0.0;
  if (n < offsets[p.B]) {
    let b = sequenceOf(n);
    let origin = i32(n) - p.by;
    if (origin >= i32(offsets[b]) && origin < i32(offsets[b + 1u])) { value = x[u32(origin) * p.D + i % p.D]; }
  }
  out[i] = value;
}
