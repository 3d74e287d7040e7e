// Rows of length one: y = x/max(‖x‖₂, ε). dx = (dy − y·Σ dy·y)/‖x‖ where ‖x‖ > ε, else dy/ε.

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;

fn norm(first: u32, at: u32) -> f32 {
  var part = 0.0;
  for (var c = at % LANES; c < p.D; c += LANES) { part += x[first + c] * x[first + c]; }
  return sqrt(sumOf(part, at, LANES));
}

/** max may drop a NaN, which must not become a number. */
fn divisorOf(length: f32) -> f32 {
  return select(max(length, p.epsilon), length, isNotANumber(length));
}

@compute @workgroup_size(ROWS * LANES)
fn normalize(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let divisor = divisorOf(norm(row * p.D, here.at));
  if (rowOf(here) != row) { return; }
  for (var c = here.at % LANES; c < p.D; c += LANES) { out[row * p.D + c] = x[row * p.D + c] / divisor; }
}

@compute @workgroup_size(ROWS * LANES)
fn normalizeGrad(here: Here) {
  let row = min(rowOf(here), p.R - 1u);
  let first = row * p.D;
  let length = norm(first, here.at);
  var part = 0.0;
  for (var c = here.at % LANES; c < p.D; c += LANES) { part += dy[first + c] * x[first + c]; }
  let product = sumOf(part, here.at, LANES);
  if (rowOf(here) != row) { return; }
  let divisor = divisorOf(length);
  let inner = select(product / length, 0.0, length <= p.epsilon);
  for (var c = here.at % LANES; c < p.D; c += LANES) {
    let i = first + c;
    out[i] = (dy[i] - (x[i] / divisor) * inner) / divisor;
  }
}
