// out = x, or out += x.

struct Parameters { accumulate: u32, present: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

@compute @workgroup_size(GROUP)
fn copy(here: Here) {
  let i = elementOf(here);
  if (i >= p.n) { return; }
  if (p.accumulate == 0u) {
    out[i] = x[i];
  } else {
    out[i] = out[i] + x[i];
  }
}
