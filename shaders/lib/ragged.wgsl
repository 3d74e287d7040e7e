// Rows that are as long as their sequence: a token row n holds H rows, of which the first `length` entries count; without offsets all do.
// Shaders that call this have offsets in binding 2.

@group(0) @binding(2) var<storage, read> starts: array<u32>; // [B + 1]

/** Length of the rows of token row n; 0 past the last sequence. Its sequence is the last one that begins at or before it, found by halving. */
fn lengthOf(n: u32, B: u32, whole: u32, present: u32) -> u32 {
  if (!has(present, 2u)) { return whole; }
  if (n >= starts[B]) { return 0u; }
  var first = 0u;
  var end = B;
  for (var reach = B; reach > 0u; reach = reach >> 1u) {
    let middle = (first + end) / 2u;
    if (starts[middle] <= n) {
      first = middle;
    } else {
      end = middle;
    }
  }
  return starts[first + 1u] - starts[first];
}
