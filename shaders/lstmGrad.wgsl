// dz from dy and the gates' sums z (formulas: src/ops/lstmGrad.ts). A workgroup goes through one sequence: forward in time for the gates
// (into dz) and c (into scratch), then back; it keeps dz of the row after in its memory, and a thread the f·dc of its units.

struct Parameters { accumulate: u32, present: u32, N: u32, H: u32, B: u32, reverse: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>; // [N, 4H]
@group(0) @binding(2) var<storage, read> offsets: array<u32>; // [B + 1]
@group(0) @binding(3) var<storage, read_write> scratch: array<f32>; // [N, H]
@group(0) @binding(4) var<storage, read> z: array<f32>; // [N, 4H]
@group(0) @binding(5) var<storage, read> dy: array<f32>; // [N, H]
@group(0) @binding(6) var<storage, read> weight: array<f32>; // [4H, H]

const UNITS = LSTM_WIDTH / 4u;

var<workgroup> after: array<f32, LSTM_WIDTH>;

/** The row of step s, in time. */
fn rowAt(first: u32, length: u32, s: u32) -> u32 {
  return first + select(s, length - 1u - s, p.reverse != 0u);
}

@compute @workgroup_size(GROUP)
fn lstmGrad(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) at: u32) {
  let H = p.H;
  let first = offsets[group.x];
  if (group.x == p.B) {
    for (var i = 4u * first * H + at; i < 4u * p.N * H; i += GROUP) { out[i] = 0.0; }
    return;
  }
  let length = offsets[group.x + 1u] - first;
  for (var u = at; u < H; u += GROUP) {
    var c = 0.0;
    for (var s = 0u; s < length; s++) {
      let n = rowAt(first, length, s);
      let place = 4u * n * H + u;
      let i = sigmoidOf(z[place]);
      let f = sigmoidOf(z[place + H]);
      let g = tanhOf(z[place + 2u * H]);
      c = f * c + i * g;
      out[place] = i;
      out[place + H] = f;
      out[place + 2u * H] = g;
      out[place + 3u * H] = sigmoidOf(z[place + 3u * H]);
      scratch[n * H + u] = c;
    }
  }
  var carry: array<f32, UNITS / GROUP>;
  var dh: array<f32, UNITS / GROUP>;
  for (var left = length; left > 0u; left--) {
    let s = left - 1u;
    let n = rowAt(first, length, s);
    for (var u = at; u < H; u += GROUP) {
      var sum = dy[n * H + u];
      if (left < length) {
        for (var j = 0u; j < 4u * H; j++) { sum += after[j] * weight[j * H + u]; }
      }
      dh[u / GROUP] = sum;
    }
    workgroupBarrier();
    for (var u = at; u < H; u += GROUP) {
      let place = 4u * n * H + u;
      let i = out[place];
      let f = out[place + H];
      let g = out[place + 2u * H];
      let o = out[place + 3u * H];
      let t = tanhOf(scratch[n * H + u]);
      let dc = dh[u / GROUP] * o * (1.0 - t * t) + carry[u / GROUP];
      carry[u / GROUP] = dc * f;
      var before = 0.0;
      if (s > 0u) { before = scratch[rowAt(first, length, s - 1u) * H + u]; }
      let dz = vec4<f32>(dc * g * (i * (1.0 - i)), dc * before * (f * (1.0 - f)), dc * i * (1.0 - g * g), dh[u / GROUP] * t * (o * (1.0 - o)));
      for (var gate = 0u; gate < 4u; gate++) {
        after[gate * H + u] = dz[gate];
        out[place + gate * H] = dz[gate];
      }
    }
    workgroupBarrier();
  }
}
