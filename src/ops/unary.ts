// Element-wise functions of one argument, y = f(x) and dx = dy·f′(x): one op, a table of (formula, derivative).
//   gelu       x·Φ(x), Φ(x) = (1 + erf(x/√2))/2                        (Hendrycks & Gimpel 2016, arXiv:1606.08415)
//   geluTanh   x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2                the same paper's approximation, "gelu_new" of Hugging Face
//   relu, tanh, abs (slope 0 at 0)

import { Unary } from "../../assembly/opcodes.ts";
import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";

type Kind = { kind: Unary };

/** erf by its series e^(−x²)·2/√π·Σ 2ⁿx^(2n+1)/(2n+1)‼, all terms positive: right to the last digits, not fast. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const c = Math.sqrt(2 / Math.PI);
const Phi = (x: number) => 0.5 * (1 + erf(x / Math.SQRT2));

const table: Record<Unary, { f: (x: number) => number; derivative: (x: number) => number }> = {
  [Unary.gelu]: {
    f: (x) => x * Phi(x),
    derivative: (x) => Phi(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  },
  [Unary.geluTanh]: {
    f: (x) => 0.5 * x * (1 + Math.tanh(c * (x + 0.044715 * x ** 3))),
    derivative: (x) => {
      const t = Math.tanh(c * (x + 0.044715 * x ** 3));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
    },
  },
  [Unary.relu]: { f: (x) => Math.max(x, 0), derivative: (x) => (x > 0 ? 1 : 0) },
  [Unary.abs]: { f: Math.abs, derivative: Math.sign },
  [Unary.tanh]: { f: Math.tanh, derivative: (x) => 1 - Math.tanh(x) ** 2 },
};

export const unary = defineOp<Kind>()({
  name: "unary",
  inputs: { x: "..." },
  output: "...",
  parameters: ({ total }, { kind }) => [total, kind as number],
  dispatches: ({ total }) => [{ entry: "unary", grid: elements(total) }],
  gradient: ({ dy, inputs: { x }, attributes }) => ({ x: () => unaryGrad({ dy, x }, attributes as Kind) }),
  formula: ({ inputs: { x }, out, attributes }) => {
    const { f } = table[attributes.kind as Unary];
    for (let i = 0; i < out.length; i++) out[i] = f(x[i]);
  },
});

export const unaryGrad = defineOp<Kind>()({
  name: "unaryGrad",
  inputs: { dy: "...", x: "..." },
  output: "...",
  parameters: ({ total }, { kind }) => [total, kind as number],
  dispatches: ({ total }) => [{ entry: "unaryGrad", grid: elements(total), bind: ["out", "x", "dy"] }],
  formula: ({ inputs: { dy, x }, out, attributes }) => {
    const { derivative } = table[attributes.kind as Unary];
    for (let i = 0; i < out.length; i++) out[i] = dy[i] * derivative(x[i]);
  },
});
