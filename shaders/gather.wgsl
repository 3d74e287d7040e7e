// Rows of a table by id, and the gradient of the table. NONE stands for "no id": such rows are zero and give no gradient.
//   gather           out[r, :] = table[ids[r], :], whatever the bits mean; an id beyond the table gives NaN, which stops the training
//   gatherGrad       out[id, :] += Σ dy[r, :] over the rows r of that id, in the order of `order` (rows sorted by id; absent: they are)
//   gatherGradClear  out = 0, before gatherGrad when it is not to add to something

struct Parameters { accumulate: u32, present: u32, R: u32, D: u32, V: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<f32>; // dy [R, D]
@group(0) @binding(4) var<storage, read> order: array<u32>;
// gather copies bits: as floats, small integers and NONE would not have to survive.
@group(0) @binding(1) var<storage, read_write> bits: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<u32>; // [V, D]

@compute @workgroup_size(GROUP)
fn gather(here: Here) {
  let i = elementOf(here);
  if (i >= p.R * p.D) { return; }
  let id = ids[i / p.D];
  var value = 0u;
  if (id < p.V) {
    value = table[id * p.D + i % p.D];
  } else if (id != NONE) {
    value = bitcast<u32>(poison(id));
  }
  bits[i] = value;
}

fn rowAt(i: u32) -> u32 {
  if (has(p.present, 4u)) { return order[i]; }
  return i;
}

/** One thread a column and a sorted row; the first row of each id adds all rows of that id. */
@compute @workgroup_size(GROUP)
fn gatherGrad(here: Here) {
  let place = elementOf(here);
  if (place >= p.R * p.D) { return; }
  let first = place / p.D;
  let d = place % p.D;
  let id = ids[rowAt(first)];
  if (id >= p.V) { return; }
  if (first > 0u) {
    if (ids[rowAt(first - 1u)] == id) { return; }
  }
  var sum = out[id * p.D + d];
  for (var i = first; i < p.R; i++) {
    let r = rowAt(i);
    if (ids[r] != id) { break; }
    sum += x[r * p.D + d];
  }
  out[id * p.D + d] = sum;
}

@compute @workgroup_size(GROUP)
fn gatherGradClear(here: Here) {
  let i = elementOf(here);
  if (i < p.V * p.D) { out[i] = 0.0; }
}
