// softmax(x/T) over the first `length` entries of each row, the rest 0; length is that of the row's sequence, or L without offsets.
//   y = e^((x − max x)/T)/Σ e^((x − max x)/T)          dx = y·(dy − Σ dy·y)/T
// T = 1 without a temperature. A token row n holds H rows of L entries; rows past the last sequence have length 0. bySequence: row n is that
// of sequence n.

struct Parameters { accumulate: u32, present: u32, R: u32, H: u32, L: u32, B: u32, bySequence: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> temperature: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>; // or dy
@group(0) @binding(5) var<storage, read> y: array<f32>;

/** 1/T. */
fn factor() -> f32 {
  if (has(p.present, 3u)) { return 1.0 / temperature[0]; }
  return 1.0;
}

fn lengthAt(n: u32) -> u32 {
  if (p.bySequence != 0u) { return starts[n + 1u] - starts[n]; }
  return lengthOf(n, p.B, p.L, p.present);
}

@compute @workgroup_size(ROWS * LANES)
fn softmax(here: Here) {
  let at = here.at;
  let row = min(rowOf(here), p.R * p.H - 1u);
  let first = row * p.L;
  let length = lengthAt(row / p.H);
  let scale = factor();
  var part = LOWEST;
  for (var j = at % LANES; j < length; j += LANES) { part = max(part, x[first + j]); }
  let shift = largestOf(part, at, LANES);
  part = 0.0;
  for (var j = at % LANES; j < length; j += LANES) { part += expOf((x[first + j] - shift) * scale); }
  let sum = sumOf(part, at, LANES);
  if (rowOf(here) != row) { return; }
  for (var j = at % LANES; j < p.L; j += LANES) {
    var value = 0.0;
    if (j < length) { value = expOf((x[first + j] - shift) * scale) / sum; }
    out[first + j] = value;
  }
}

@compute @workgroup_size(ROWS * LANES)
fn softmaxGrad(here: Here) {
  let at = here.at;
  let row = min(rowOf(here), p.R * p.H - 1u);
  let first = row * p.L;
  let length = lengthAt(row / p.H);
  let scale = factor();
  var part = 0.0;
  for (var j = at % LANES; j < length; j += LANES) { part += x[first + j] * y[first + j]; }
  let inner = sumOf(part, at, LANES);
  if (rowOf(here) != row) { return; }
  for (var j = at % LANES; j < p.L; j += LANES) {
    var value = 0.0;
    if (j < length) { value = (y[first + j] * (x[first + j] - inner)) * scale; }
    out[first + j] = value;
  }
}
