// The scale of the loss after an update: halved if the norm was not finite, doubled after LOSS_GROWTH updates that it stood.

@group(0) @binding(1) var<storage, read_write> state: array<f32>; // s, 1/s, updates since s changed, updates refused
@group(0) @binding(2) var<storage, read> norm: array<f32>;

@compute @workgroup_size(1)
fn lossScale() {
  let good = !nonfinite(norm[0]);
  let stood = select(0.0, state[2] + 1.0, good);
  let grows = stood == f32(LOSS_GROWTH);
  let s = state[0] * select(0.5, select(1.0, 2.0, grows), good);
  state[0] = s;
  state[1] = 1.0 / s;
  state[2] = select(stood, 0.0, grows);
  state[3] += select(1.0, 0.0, good);
}
