// jax-js' part of bench/cpu.ts, under Deno, where it has threads: forward and gradients of an encoder classifier on rows that are embedded
// already (a frozen embedding), or a product.
// JavaScript, because the types of this peer are not there on a bare clone.

import process from "node:process";
import { answer } from "./lines.mjs";

const { what, threads, product, model = {}, sequences: B, length: T } = JSON.parse(process.argv[2]);
const { layers, width: D, heads: H, inner: F } = model;
// jax-js starts as many workers as the host says it has cores.
Object.defineProperty(globalThis.navigator, "hardwareConcurrency", { value: threads });
const { blockUntilReady, defaultDevice, init, jit, nn, numpy: np, tree, valueAndGrad } = await import("@jax-js/jax");
if (!(await init("wasm")).includes("wasm")) throw new Error("jax-js has no wasm device here");
defaultDevice("wasm");

/** Repeatable numbers of about normal spread; their values do not matter here. */
let state = 1;
function numbers(shape, scale) {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = (state / 2 ** 31 - 1) * scale;
  }
  return np.array(data).reshape(shape);
}
const dense = (inputs, outputs) => ({ weight: numbers([inputs, outputs], 0.035), bias: numbers([outputs], 0) });
const norm = () => ({ gamma: np.ones([D]), beta: np.zeros([D]) });
const parameters = model.layers && {
  layers: Array.from({ length: layers }, () => ({
    ...{ query: dense(D, D), key: dense(D, D), value: dense(D, D), output: dense(D, D), norm1: norm() },
    ...{ up: dense(D, F), down: dense(F, D), norm2: norm() },
  })),
  pooler: dense(D, D),
  classifier: dense(D, 2),
};

// jax-js counts references: using an array consumes it, `.ref` keeps it.
const apply = (p, x) => np.matmul(x, p.weight).add(p.bias);
const normalize = (p, x) => nn.standardize(x, -1, { epsilon: 1e-12 }).mul(p.gamma).add(p.beta);
function layer(p, x) {
  // Heads of 26 keep jax-js off its fast kernels; padded with zeros to 32 the same numbers come twice as fast, so that is what it gets.
  const wide = 16 * Math.ceil(D / H / 16);
  const split = (y) => np.pad(y.reshape([B, T, H, D / H]), [...Array(3).fill([0, 0]), [0, wide - D / H]]);
  const [q, k, v] = [p.query, p.key, p.value].map((projection) => split(apply(projection, x.ref)));
  const heads = nn.dotProductAttention(q, k, v, { scale: 1 / Math.sqrt(D / H) });
  const context = heads.slice([], [], [], [0, D / H]).reshape([B * T, D]);
  const attended = normalize(p.norm1, apply(p.output, context).add(x));
  const inner = nn.gelu(apply(p.up, attended.ref), { approximate: false });
  return normalize(p.norm2, apply(p.down, inner).add(attended));
}
function loss(p, x, targets) {
  const hidden = p.layers.reduce((h, one) => layer(one, h), x);
  const first = hidden.reshape([B, T, D]).slice([], 0);
  const logits = apply(p.classifier, np.tanh(apply(p.pooler, first)));
  return nn
    .logSoftmax(logits)
    .mul(targets)
    .sum()
    .mul(-1 / B);
}

if (what === "product") {
  const { M, N, K } = product;
  const [a, b] = [numbers([M, K], 1), numbers([K, N], 1)];
  const multiply = jit((x, y) => np.matmul(x, y));
  await answer(async () => {
    const c = multiply(a.ref, b.ref);
    await blockUntilReady(c);
    c.dispose();
  });
} else if (what === "gradients") {
  const x = numbers([B * T, D], 1);
  const targets = np
    .array(Float32Array.from({ length: 2 * B }, (_, i) => Number(i % 2 === (i >> 1) % 2)))
    .reshape([B, 2]);
  const gradients = jit(valueAndGrad(loss));
  await answer(async () => {
    const [l, g] = gradients(tree.ref(parameters), x.ref, targets.ref);
    await blockUntilReady(g);
    await l.data();
    tree.dispose(g);
  });
} else throw new Error(`jax-js is not asked for "${what}"`);
