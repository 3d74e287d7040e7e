// Rows that are as long as their sequence: a token row n holds H rows of L floats, of which the first `length` count; without offsets
// all do. Rows past the last sequence have length 0.

/** The first sequence from `from` on that ends after token row n; B if there is none. */
export function sequenceOf(n: u32, offsets: usize, B: u32, from: u32): u32 {
  let b = from;
  while (b < B && n >= load<u32>(offsets + (b << 2), 4)) b++;
  return b;
}

/** Length of the rows of sequence b. */
export function lengthOf(b: u32, offsets: usize, B: u32, L: u32): u32 {
  if (offsets === 0) return L;
  return b < B ? load<u32>(offsets + (b << 2), 4) - load<u32>(offsets + (b << 2)) : 0;
}

/** Zeros behind the part of a row that was written. */
export function clearRest(row: usize, length: u32, L: u32, accumulate: u32): void {
  if (!accumulate) memory.fill(row + (length << 2), 0, (L - length) << 2);
}
