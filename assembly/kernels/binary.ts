// Functions of two arguments, element by element: out = a ∘ b, ∘ one of + − × ÷. nb = 1: the one b meets every a.
// words: 5 a[n], 6 b[nb], 7 n, 8 nb (n or 1), 9 kind

import { Binary } from "../opcodes";
import { put, shareElements } from "../rows";

function value(kind: u32, a: v128, b: v128): v128 {
  if (kind === Binary.add) return f32x4.add(a, b);
  if (kind === Binary.sub) return f32x4.sub(a, b);
  if (kind === Binary.mul) return f32x4.mul(a, b);
  return f32x4.div(a, b);
}

export function binary(cmd: usize, ith: u32, nth: u32): void {
  const out = load<u32>(cmd, 4 * 3);
  const accumulate = load<u32>(cmd, 4 * 4);
  const a = load<u32>(cmd, 4 * 5);
  const b = load<u32>(cmd, 4 * 6);
  const n = load<u32>(cmd, 4 * 7);
  const broadcast = load<u32>(cmd, 4 * 8) === 1;
  const kind = load<u32>(cmd, 4 * 9);
  const single = v128.load32_splat(b);
  const end = shareElements(n, ith + 1, nth);
  for (let i = shareElements(n, ith, nth); i < end; i += 4) {
    const right = broadcast ? single : v128.load(b + (i << 2));
    put(out + (i << 2), value(kind, v128.load(a + (i << 2)), right), n - i, accumulate);
  }
}
