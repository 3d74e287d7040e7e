// out[1] = √(Σ g²) over all tensors. A workgroup squares and adds CHUNK elements of one tensor into one number of scratch, tensor after
// tensor; then one workgroup adds these numbers. Both sums are fixed trees.

struct Part { accumulate: u32, present: u32, n: u32, first: u32 }
@group(0) @binding(0) var<uniform> part: Part;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;

/** Numbers first, first + 1, … of scratch from one tensor of n elements. */
@compute @workgroup_size(GROUP)
fn globalNormPart(here: Here) {
  let chunk = groupOf(here);
  let end = min(part.n, (chunk + 1u) * CHUNK);
  var sum = 0.0;
  for (var i = chunk * CHUNK + here.at; i < end; i += GROUP) { sum += g[i] * g[i]; }
  let all = sumOf(sum, here.at, GROUP);
  if (here.at == 0u && chunk * CHUNK < part.n) { parts[part.first + chunk] = all; }
}

struct Whole { accumulate: u32, present: u32, count: u32 }
@group(0) @binding(0) var<uniform> whole: Whole;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(GROUP)
fn globalNorm(here: Here) {
  var sum = 0.0;
  for (var i = here.at; i < whole.count; i += GROUP) { sum += parts[i]; }
  let all = sumOf(sum, here.at, GROUP);
  if (here.at == 0u) { out[0] = sqrt(all); }
}
