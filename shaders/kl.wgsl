// Kullback-Leibler divergence of the softened logits from target probabilities t (Hinton et al. 2015, arXiv:1503.02531, without T²):
//   out = weight/H·Σ_h Σ_c t·(log t − log softmax(z/T)), 0·log 0 = 0          dz = weight/H·dy·(softmax(z/T)·Σt − t)/T
// The row's maximum is subtracted first. Cross-entropy: without log t. A row is C long, or with offsets as long as its sequence (dz is 0
// past it). Weight 0: out and dz are 0.

struct Parameters { accumulate: u32, present: u32, R: u32, H: u32, C: u32, B: u32, cross: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> temperature: array<f32>;
@group(0) @binding(5) var<storage, read> targets: array<f32>;
@group(0) @binding(6) var<storage, read> logits: array<f32>;
@group(0) @binding(7) var<storage, read> dy: array<f32>;

/** The maximum of a row and Σ e^((z − maximum)/T). */
fn maximumAndSum(first: u32, length: u32, at: u32) -> vec2<f32> {
  let factor = 1.0 / temperature[0];
  var part = LOWEST;
  for (var c = at % LANES; c < length; c += LANES) { part = max(part, logits[first + c]); }
  let shift = largestOf(part, at, LANES);
  part = 0.0;
  for (var c = at % LANES; c < length; c += LANES) { part += expOf((logits[first + c] - shift) * factor); }
  return vec2<f32>(shift, sumOf(part, at, LANES));
}

@compute @workgroup_size(ROWS * LANES)
fn kl(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let length = lengthOf(row, p.B, p.C, p.present);
  let factor = 1.0 / temperature[0];
  var part = 0.0;
  for (var h = 0u; h < p.H; h++) {
    let first = (row * p.H + h) * p.C;
    let m = maximumAndSum(first, length, here.at);
    let logSum = logOf(m.y);
    for (var c = here.at % LANES; c < length; c += LANES) {
      let t = targets[first + c];
      let own = select(logOf(t), 0.0, p.cross != 0u);
      // A target of 0 counts nothing.
      part += select(t * ((own - (logits[first + c] - m.x) * factor) + logSum), 0.0, t == 0.0);
    }
  }
  let divergence = sumOf(part, here.at, LANES);
  if (rowOf(here) != row || here.at % LANES != 0u) { return; }
  out[row] = select(0.0, (weights[row] * divergence) / f32(p.H), weights[row] != 0.0);
}

@compute @workgroup_size(ROWS * LANES)
fn klGrad(here: Here) {
  let row = min(rowOf(here), p.R * p.H - 1u);
  let n = row / p.H;
  let length = lengthOf(n, p.B, p.C, p.present);
  let m = maximumAndSum(row * p.C, length, here.at);
  let factor = 1.0 / temperature[0];
  var part = 0.0;
  for (var c = here.at % LANES; c < length; c += LANES) { part += targets[row * p.C + c]; }
  let ratio = sumOf(part, here.at, LANES) / m.y;
  if (rowOf(here) != row) { return; }
  let slope = (weights[n] * dy[n] * factor) / f32(p.H);
  for (var c = here.at % LANES; c < p.C; c += LANES) {
    let i = row * p.C + c;
    var value = 0.0;
    if (c < length && weights[n] != 0.0) { value = slope * (expOf((logits[i] - m.x) * factor) * ratio - targets[i]); }
    out[i] = value;
  }
}
