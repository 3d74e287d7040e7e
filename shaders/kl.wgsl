// Kullback-Leibler divergence of the softened logits from target probabilities t (Hinton et al. 2015, arXiv:1503.02531, without T²):
//   out = weight·Σ_c t·(log t − log softmax(z/T)), 0·log 0 = 0          dz = weight·dy·(softmax(z/T)·Σt − t)/T
// The row's maximum is subtracted first. Weight 0: out and dz are 0.

struct Parameters { accumulate: u32, present: u32, R: u32, C: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> logits: array<f32>;
@group(0) @binding(4) var<storage, read> temperature: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;

/** The maximum of a row and Σ e^((z − maximum)/T). */
fn maximumAndSum(first: u32, at: u32) -> vec2<f32> {
  let factor = 1.0 / temperature[0];
  var part = LOWEST;
  for (var c = at % LANES; c < p.C; c += LANES) { part = max(part, logits[first + c]); }
  let shift = largestOf(part, at, LANES);
  part = 0.0;
  for (var c = at % LANES; c < p.C; c += LANES) { part += expOf((logits[first + c] - shift) * factor); }
  return vec2<f32>(shift, sumOf(part, at, LANES));
}

@compute @workgroup_size(ROWS * LANES)
fn kl(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let m = maximumAndSum(row * p.C, here.at);
  let factor = 1.0 / temperature[0];
  let logSum = logOf(m.y);
  var part = 0.0;
  for (var c = here.at % LANES; c < p.C; c += LANES) {
    let i = row * p.C + c;
    let t = targets[i];
    // A target of 0 counts nothing.
    part += select(t * ((logOf(t) - (logits[i] - m.x) * factor) + logSum), 0.0, t == 0.0);
  }
  let divergence = sumOf(part, here.at, LANES);
  if (rowOf(here) != row || here.at % LANES != 0u) { return; }
  out[row] = select(0.0, weights[row] * divergence, weights[row] != 0.0);
}

@compute @workgroup_size(ROWS * LANES)
fn klGrad(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let m = maximumAndSum(row * p.C, here.at);
  let factor = 1.0 / temperature[0];
  var part = 0.0;
  for (var c = here.at % LANES; c < p.C; c += LANES) { part += targets[row * p.C + c]; }
  let ratio = sumOf(part, here.at, LANES) / m.y;
  if (rowOf(here) != row) { return; }
  let slope = weights[row] * dy[row] * factor;
  for (var c = here.at % LANES; c < p.C; c += LANES) {
    let i = row * p.C + c;
    let difference = expOf((logits[i] - m.x) * factor) * ratio - targets[i];
    out[i] = select(0.0, slope * difference, weights[row] != 0.0);
  }
}
