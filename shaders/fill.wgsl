// out[n] = s[0].

struct Parameters { accumulate: u32, present: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> s: array<f32>;

@compute @workgroup_size(GROUP)
fn fill(here: Here) {
  let i = elementOf(here);
  if (i < p.n) { out[i] = s[0]; }
}
