// Products inside the attention of each sequence and head, over ragged batches (Vaswani et al. 2017, eq. 1). d = D/H is any integer;
// L is a multiple of 16, at least the longest sequence; i and j count the rows of one sequence, which begins at row `start`.
//   attentionPairs  S[start+i,h,j] = scale·Σ_d q[start+i,h,d]·k[start+j,h,d] for j < the sequence's length, else 0
//   attentionMix    O[start+i,h,:] = scale·Σ_j p[start+i,h,j]·v[start+j,h,:]
//   attentionMixT   O[start+j,h,:] = scale·Σ_i p[start+i,h,j]·x[start+i,h,:]
// bySequence: q, p, S, x of the last and O of the second have one row for each sequence b in place of its tokens' rows: row b.
// Rows past the last sequence are 0. Of p only the first `length` entries of a row are read.
// words of all three: 5 q or p, 6 k, v or x, 7 offsets u32[B+1], 8 rows of the output, 9 D, 10 H, 11 L, 12 B, 13 scale (f32), 14 bySequence

import { shareElements } from "../rows";
import { pairs } from "./attentionTile";
import { mixRows } from "./mixTile";

/** Clears the rows past the `used` ones of out[N, width]; width is a multiple of 4 or the buffer ends with the rows. */
function clearTail(out: usize, width: u32, N: u32, used: u32, ith: u32, nth: u32): void {
  const count = (N - used) * width;
  const first = shareElements(count, ith, nth);
  const end = shareElements(count, ith + 1, nth);
  memory.fill(out + ((used * width + first) << 2), 0, (end - first) << 2);
}

export function attentionPairs(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const q = load<u32>(cmd, 4 * 5);
  const k = load<u32>(cmd, 4 * 6);
  const offsets = load<u32>(cmd, 4 * 7);
  const N = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const H = load<u32>(cmd, 4 * 10);
  const L = load<u32>(cmd, 4 * 11);
  const B = load<u32>(cmd, 4 * 12);
  const scale = v128.load32_splat(cmd, 4 * 13);
  const bySequence = load<u32>(cmd, 4 * 14) !== 0;
  const d = D / H;
  const step = D << 2;
  // Neighbouring threads take neighbouring heads of one sequence, so that a long sequence is shared out evenly.
  for (let pair = ith; pair < B * H; pair += nth) {
    const b = pair / H;
    const h = pair % H;
    const start = load<u32>(offsets + (b << 2));
    const length = load<u32>(offsets + (b << 2), 4) - start;
    const kHead = k + ((start * D + h * d) << 2);
    const first = bySequence ? b : start;
    const rows: u32 = bySequence ? 1 : length;
    for (let i: u32 = 0; i < rows; i += 2) {
      const qRow = q + (((first + i) * D + h * d) << 2);
      const row = out + ((((first + i) * H + h) * L) << 2);
      const below: u32 = i + 1 < rows ? (H * L) << 2 : 0;
      let j: u32 = 0;
      for (; j < length; j += 4)
        pairs(row + (j << 2), below, qRow, kHead + j * step, step, d, scale, length - j, accumulate);
      if (accumulate) continue;
      memory.fill(row + (j << 2), 0, (L - j) << 2);
      if (below !== 0) memory.fill(row + below + (j << 2), 0, (L - j) << 2);
    }
  }
  if (!accumulate && !bySequence) clearTail(out, H * L, N, load<u32>(offsets + (B << 2)), ith, nth);
}

function mix(cmd: usize, ith: u32, nth: u32, transposed: bool): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const p = load<u32>(cmd, 4 * 5);
  const x = load<u32>(cmd, 4 * 6);
  const offsets = load<u32>(cmd, 4 * 7);
  const N = load<u32>(cmd, 4 * 8);
  const D = load<u32>(cmd, 4 * 9);
  const H = load<u32>(cmd, 4 * 10);
  const L = load<u32>(cmd, 4 * 11);
  const B = load<u32>(cmd, 4 * 12);
  const scale = v128.load32_splat(cmd, 4 * 13);
  const bySequence = load<u32>(cmd, 4 * 14) !== 0;
  const d = D / H;
  const step = D << 2;
  const rowStep: u32 = transposed ? 4 : (H * L) << 2;
  const kStep: u32 = transposed ? (H * L) << 2 : 4;
  for (let pair = ith; pair < B * H; pair += nth) {
    const b = pair / H;
    const h = pair % H;
    const start = load<u32>(offsets + (b << 2));
    const length = load<u32>(offsets + (b << 2), 4) - start;
    const first = bySequence ? b : start;
    const attending: u32 = bySequence ? min(length, 1) : length;
    const w = p + (((first * H + h) * L) << 2);
    const from = x + (((transposed ? first : start) * D + h * d) << 2);
    const count = transposed ? attending : length;
    // A sequence without tokens has a row all the same, of zeros.
    const made: u32 = bySequence && !transposed ? 1 : length;
    for (let i: u32 = 0; i < made; i += 4) {
      const rows = min(made - i, 4);
      const to = out + ((((transposed ? start : first) + i) * D + h * d) << 2);
      mixRows(to, step, rows, w + i * rowStep, rowStep, kStep, from, step, count, d, scale, accumulate);
    }
  }
  if (!accumulate && (transposed || !bySequence)) clearTail(out, D, N, load<u32>(offsets + (B << 2)), ith, nth);
}

export function attentionMix(cmd: usize, ith: u32, nth: u32): void {
  mix(cmd, ith, nth, false);
}

export function attentionMixT(cmd: usize, ith: u32, nth: u32): void {
  mix(cmd, ith, nth, true);
}
