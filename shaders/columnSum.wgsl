// out[d] (+)= Σ_r x[r, d]: every slice of a column is a sum in order of rows, the slices one tree.

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

@compute @workgroup_size(COLUMNS * SLICES)
fn columnSum(here: Here) {
  let at = here.at;
  let d = here.group.x * COLUMNS + at % COLUMNS;
  var part = 0.0;
  if (d < p.D) {
    for (var r = at / COLUMNS; r < p.R; r += SLICES) { part += x[r * p.D + d]; }
  }
  let sum = sumOfSlices(part, at);
  if (at < COLUMNS && d < p.D) {
    if (p.accumulate == 0u) {
      out[d] = sum;
    } else {
      out[d] = out[d] + sum;
    }
  }
}
