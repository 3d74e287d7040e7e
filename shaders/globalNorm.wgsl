// out[1] = √(Σ g²) over all tensors. A workgroup squares and adds CHUNK elements of one tensor into one number of scratch, tensor after
// tensor, TENSORS of them a dispatch; then one workgroup adds these numbers. Both sums are fixed trees.

struct Part { accumulate: u32, present: u32, first: u32, n0: u32, n1: u32, n2: u32, n3: u32, n4: u32, n5: u32 }
@group(0) @binding(0) var<uniform> part: Part;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<storage, read> g0: array<f32>;
@group(0) @binding(3) var<storage, read> g1: array<f32>;
@group(0) @binding(4) var<storage, read> g2: array<f32>;
@group(0) @binding(5) var<storage, read> g3: array<f32>;
@group(0) @binding(6) var<storage, read> g4: array<f32>;
@group(0) @binding(7) var<storage, read> g5: array<f32>;

fn element(tensor: u32, i: u32) -> f32 {
  switch (tensor) {
    case 0u: { return g0[i]; }
    case 1u: { return g1[i]; }
    case 2u: { return g2[i]; }
    case 3u: { return g3[i]; }
    case 4u: { return g4[i]; }
    default: { return g5[i]; }
  }
}

/** Numbers first, first + 1, … of scratch from as many tensors as a kernel may bind, n0 to n5 elements long. */
@compute @workgroup_size(GROUP)
fn globalNormPart(here: Here) {
  var sizes = array<u32, 6>(part.n0, part.n1, part.n2, part.n3, part.n4, part.n5);
  var tensor = 0u;
  var chunk = groupOf(here);
  for (; tensor < 5u; tensor++) {
    let chunks = (sizes[tensor] + CHUNK - 1u) / CHUNK;
    if (chunk < chunks) { break; }
    chunk -= chunks;
  }
  let end = min(sizes[tensor], (chunk + 1u) * CHUNK);
  var sum = 0.0;
  for (var i = chunk * CHUNK + here.at; i < end; i += GROUP) {
    let g = element(tensor, i);
    sum += g * g;
  }
  let all = sumOf(sum, here.at, GROUP);
  if (here.at == 0u && chunk * CHUNK < sizes[tensor]) { parts[part.first + groupOf(here)] = all; }
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
