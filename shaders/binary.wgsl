// Functions of two arguments, element by element: out = a ∘ b, ∘ one of + − × ÷. nb = 1: the one b meets every a.

struct Parameters { accumulate: u32, present: u32, n: u32, nb: u32, kind: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;

@compute @workgroup_size(GROUP)
fn binary(here: Here) {
  let i = elementOf(here);
  if (i >= p.n) { return; }
  let left = a[i];
  let right = b[select(i, 0u, p.nb == 1u)];
  switch (p.kind) {
    case Binary_add: { out[i] = left + right; }
    case Binary_sub: { out[i] = left - right; }
    case Binary_mul: { out[i] = left * right; }
    default: { out[i] = left / right; }
  }
}
