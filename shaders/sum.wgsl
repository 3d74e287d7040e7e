// out[1] = Σ x, by one workgroup: every thread adds every GROUP-th element in order, then one tree.

struct Parameters { accumulate: u32, present: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

@compute @workgroup_size(GROUP)
fn sum(here: Here) {
  var part = 0.0;
  for (var i = here.at; i < p.n; i += GROUP) { part += x[i]; }
  let all = sumOf(part, here.at, GROUP);
  if (here.at == 0u) { out[0] = all; }
}
