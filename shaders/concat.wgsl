// concat: out[n, :] = [a[n, :], b[n, :]], D and `width` wide.  columns: out[n, :] = a[n, first … first + width) of its D columns,
// 0 where there are none.

struct Parameters { accumulate: u32, present: u32, N: u32, D: u32, first: i32, width: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;

@compute @workgroup_size(GROUP)
fn concat(here: Here) {
  let i = elementOf(here);
  let across = p.D + p.width;
  if (i >= p.N * across) { return; }
  let n = i / across;
  let d = i % across;
  if (d < p.D) {
    out[i] = a[n * p.D + d];
  } else {
    out[i] = b[n * p.width + d - p.D];
  }
}

@compute @workgroup_size(GROUP)
fn columns(here: Here) {
  let i = elementOf(here);
  if (i >= p.N * p.width) { return; }
  let d = p.first + i32(i % p.width);
  var value = 0.0;
  if (d >= 0 && d < i32(p.D)) { value = a[i / p.width * p.D + u32(d)]; }
  out[i] = value;
}
