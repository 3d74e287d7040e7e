// Cross entropy with one label a row: out = weight·(log Σ e^z − z[label]), the row's maximum subtracted first.
//   dz = dy·weight·(softmax(z) − onehot(label))
// No label (NONE) or weight 0: out and dz are 0. A label outside the row gives NaN, which stops the training.

struct Parameters { accumulate: u32, present: u32, R: u32, C: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;

/** The maximum of a row and Σ e^(z − maximum). */
fn maximumAndSum(first: u32, at: u32) -> vec2<f32> {
  var part = LOWEST;
  for (var c = at % LANES; c < p.C; c += LANES) { part = max(part, logits[first + c]); }
  let shift = largestOf(part, at, LANES);
  part = 0.0;
  for (var c = at % LANES; c < p.C; c += LANES) { part += expOf(logits[first + c] - shift); }
  return vec2<f32>(shift, sumOf(part, at, LANES));
}

@compute @workgroup_size(ROWS * LANES)
fn crossEntropy(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let m = maximumAndSum(row * p.C, here.at);
  if (rowOf(here) != row || here.at % LANES != 0u) { return; }
  let label = labels[row];
  var loss = 0.0;
  if (label != NONE && weights[row] != 0.0) {
    loss = poison(label);
    if (label < p.C) { loss = weights[row] * (logOf(m.y) - (logits[row * p.C + label] - m.x)); }
  }
  out[row] = loss;
}

@compute @workgroup_size(ROWS * LANES)
fn crossEntropyGrad(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let m = maximumAndSum(row * p.C, here.at);
  if (rowOf(here) != row) { return; }
  let label = labels[row];
  let counts = label != NONE && weights[row] != 0.0;
  var slope = weights[row] * dy[row];
  if (label >= p.C) { slope = poison(label); }
  for (var c = here.at % LANES; c < p.C; c += LANES) {
    let i = row * p.C + c;
    let difference = expOf(logits[i] - m.x) / m.y - select(0.0, 1.0, c == label);
    out[i] = select(0.0, slope * difference, counts);
  }
}
