// out = x, times scale[0] if there is one, in half precision; what is beyond its range becomes NaN. Narrow and Wide are f16 and f32, or
// vectors of WIDTH 4.

struct Parameters { accumulate: u32, present: u32, n: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<Narrow>;
@group(0) @binding(2) var<storage, read> x: array<Wide>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;

// Halfway from the largest number to the next one that there would be.
const BEYOND: f32 = 65520.0;

@compute @workgroup_size(GROUP)
fn half(here: Here) {
  let i = elementOf(here);
  if (i >= p.n / WIDTH) { return; }
  var factor = 1.0;
  if (has(p.present, 3u)) { factor = scale[0]; }
  let wide = x[i] * factor;
  out[i] = Narrow(select(wide, Wide(poison(p.n)), abs(wide) >= Wide(BEYOND)));
}
