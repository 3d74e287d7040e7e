// h of every row from the input's share of the gates (formulas: src/ops/lstm.ts). A workgroup goes through one sequence in time; it keeps
// the last h in its memory, and a thread the c of its units. lstmWeight first lays W[4H, H] out as [H, H, 4]: term, unit, gate.

struct Parameters { accumulate: u32, present: u32, N: u32, H: u32, B: u32, reverse: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // [B + 1]
@group(0) @binding(3) var<storage, read_write> scratch: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<f32>; // [N, 4H], or W

const UNITS = LSTM_WIDTH / 4u;

// h of this step and of the one before it, in turn.
var<workgroup> states: array<f32, 2u * UNITS>;

@compute @workgroup_size(GROUP)
fn lstmWeight(here: Here) {
  let i = elementOf(here);
  if (i >= 4u * p.H * p.H) { return; }
  let k = i / (4u * p.H);
  let u = i / 4u % p.H;
  scratch[i] = x[(i % 4u * p.H + u) * p.H + k];
}

@compute @workgroup_size(GROUP)
fn lstm(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) at: u32) {
  let first = offsets[group.x];
  if (group.x == p.B) {
    for (var i = first * p.H + at; i < p.N * p.H; i += GROUP) { out[i] = 0.0; }
    return;
  }
  let length = offsets[group.x + 1u] - first;
  var c: array<f32, UNITS / GROUP>;
  for (var s = 0u; s < length; s++) {
    let n = first + select(s, length - 1u - s, p.reverse != 0u);
    let now = s % 2u * UNITS;
    for (var u = at; u < p.H; u += GROUP) {
      let place = 4u * n * p.H + u;
      var z = vec4<f32>(x[place], x[place + p.H], x[place + 2u * p.H], x[place + 3u * p.H]);
      if (s > 0u) {
        for (var k = 0u; k < p.H; k++) {
          let w = 4u * (k * p.H + u);
          z += states[UNITS - now + k] * vec4<f32>(scratch[w], scratch[w + 1u], scratch[w + 2u], scratch[w + 3u]);
        }
      }
      c[u / GROUP] = sigmoidOf(z.y) * c[u / GROUP] + sigmoidOf(z.x) * tanhOf(z.z);
      let h = sigmoidOf(z.w) * tanhOf(c[u / GROUP]);
      states[now + u] = h;
      out[n * p.H + u] = h;
    }
    workgroupBarrier();
  }
}
