// Rows of a table by id, and the gradient of the table. NONE stands for "no id": such rows are zero and give no gradient.

import { NONE } from "../rows";
import { share } from "../thread";

/** out[r, :] = table[ids[r], :]. Words: table[V, D], ids[R], order? (not read) | R, D, V. Threads split the rows. */
export function gather(cmd: usize, ith: u32, nth: u32): void {
  const out = <usize>load<u32>(cmd, 12);
  const accumulate = load<u32>(cmd, 16) !== 0;
  const table = <usize>load<u32>(cmd, 20);
  const ids = <usize>load<u32>(cmd, 24);
  const R = load<u32>(cmd, 32);
  const D = load<u32>(cmd, 36);
  const V = load<u32>(cmd, 40);
  const bytes = (<usize>D) << 2;
  const end = share(R, ith + 1, nth);
  for (let r = share(R, ith, nth); r < end; r++) {
    const id = load<u32>(ids + ((<usize>r) << 2));
    const to = out + <usize>r * bytes;
    if (id === NONE) {
      if (!accumulate) memory.fill(to, 0, bytes);
      continue;
    }
    if (id >= V) unreachable();
    const from = table + <usize>id * bytes;
    if (accumulate) addRow(to, from, D);
    else memory.copy(to, from, bytes);
  }
}

/**
 * out[v, :] (+)= Σ dy[r, :] over the rows r whose id is v, in the order of `order` (row numbers sorted by id; absent: the ids themselves
 * ascend). Words: dy[R, D], ids[R], order[R]? | R, D, V. A thread owns whole ids: those from the first id that begins in its share of
 * the sorted rows up to the first id of the next thread.
 */
export function gatherGrad(cmd: usize, ith: u32, nth: u32): void {
  const out = <usize>load<u32>(cmd, 12);
  const dy = <usize>load<u32>(cmd, 20);
  const ids = <usize>load<u32>(cmd, 24);
  const order = <usize>load<u32>(cmd, 28);
  const R = load<u32>(cmd, 32);
  const D = load<u32>(cmd, 36);
  const V = load<u32>(cmd, 40);
  const bytes = (<usize>D) << 2;
  const begin = boundary(ids, order, R, ith, nth);
  const end = boundary(ids, order, R, ith + 1, nth);
  if (load<u32>(cmd, 16) === 0) {
    const first = firstId(ids, order, R, V, ith, begin);
    const last = firstId(ids, order, R, V, ith + 1, end);
    if (first < last) memory.fill(out + <usize>first * bytes, 0, <usize>(last - first) * bytes);
  }
  for (let i = begin; i < end; i++) {
    const id = idAt(ids, order, i);
    if (id === NONE) break;
    if (id >= V) unreachable();
    addRow(out + <usize>id * bytes, dy + <usize>rowAt(order, i) * bytes, D);
  }
}

function rowAt(order: usize, i: u32): u32 {
  return order === 0 ? i : load<u32>(order + ((<usize>i) << 2));
}

function idAt(ids: usize, order: usize, i: u32): u32 {
  return load<u32>(ids + ((<usize>rowAt(order, i)) << 2));
}

/** Where thread `ith` begins: its even share, moved on to the first row of an id. */
function boundary(ids: usize, order: usize, R: u32, ith: u32, nth: u32): u32 {
  let i = share(R, ith, nth);
  while (i > 0 && i < R && idAt(ids, order, i) === idAt(ids, order, i - 1)) i++;
  return i;
}

/** First row of the table that thread `ith` owns, when its sorted rows begin at `begin`. */
function firstId(ids: usize, order: usize, R: u32, V: u32, ith: u32, begin: u32): u32 {
  if (ith === 0) return 0;
  return begin === R ? V : min(V, idAt(ids, order, begin));
}

function addRow(to: usize, from: usize, D: u32): void {
  let d: u32 = 0;
  for (; d + 4 <= D; d += 4) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  for (; d < D; d++) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}
