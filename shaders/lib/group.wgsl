// What the kernels share: numbering workgroups, and sums and maxima over neighbouring threads as one fixed tree.

/** Where a thread is: its workgroup in the grid, and its number in the workgroup. */
struct Here {
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) at: u32,
}

var<workgroup> folded: array<f32, GROUP>;

/** The number of a workgroup in a grid that `spread` made. */
fn groupOf(here: Here) -> u32 {
  return here.group.y * here.groups.x + here.group.x;
}

/** The element of a thread in a grid of `elements`. */
fn elementOf(here: Here) -> u32 {
  return groupOf(here) * GROUP + here.at;
}

/** The row of a thread in a grid of `rows`; its lane is at % LANES. */
fn rowOf(here: Here) -> u32 {
  return groupOf(here) * ROWS + here.at / LANES;
}

/** Whether an optional input is there: `present` has one bit for each binding. */
fn has(present: u32, binding: u32) -> bool {
  return (present & (1u << binding)) != 0u;
}

/**
 * Σ of `value` over the `width` neighbouring threads that thread `at` belongs to, the same in each. The whole workgroup must call it.
 * Threads of one subgroup take each other's numbers without shared memory; the tree, and so every bit, is the same with and without.
 */
fn sumOf(value: f32, at: u32, width: u32) -> f32 {
  let first = at - at % width;
  var sum = value;
  if (width > SUBGROUP) {
    folded[at] = value;
    for (var reach = width / 2u; reach >= SUBGROUP; reach = reach >> 1u) {
      workgroupBarrier();
      if (at - first < reach) { folded[at] += folded[at + reach]; }
    }
    workgroupBarrier();
    sum = folded[first + at % SUBGROUP];
    workgroupBarrier();
  }
  for (var reach = min(width, SUBGROUP) / 2u; reach > 0u; reach = reach >> 1u) { sum += neighbour(sum, reach); }
  return sum;
}

/** The largest `value`, likewise. */
fn largestOf(value: f32, at: u32, width: u32) -> f32 {
  let first = at - at % width;
  var largest = value;
  if (width > SUBGROUP) {
    folded[at] = value;
    for (var reach = width / 2u; reach >= SUBGROUP; reach = reach >> 1u) {
      workgroupBarrier();
      if (at - first < reach) { folded[at] = max(folded[at], folded[at + reach]); }
    }
    workgroupBarrier();
    largest = folded[first + at % SUBGROUP];
    workgroupBarrier();
  }
  for (var reach = min(width, SUBGROUP) / 2u; reach > 0u; reach = reach >> 1u) {
    largest = max(largest, neighbour(largest, reach));
  }
  return largest;
}

/** Σ over the slices of a column: threads COLUMNS apart. The sum is in the first COLUMNS threads; the whole workgroup must call it. */
fn sumOfSlices(value: f32, at: u32) -> f32 {
  folded[at] = value;
  for (var reach = COLUMNS * SLICES / 2u; reach >= COLUMNS; reach = reach >> 1u) {
    workgroupBarrier();
    if (at < reach) {
      folded[at] += folded[at + reach];
    }
  }
  return folded[at];
}
