// jax-js on WebGPU as a contender, under `jit`. It counts references: using an array consumes it, `.ref` keeps it.
// JavaScript, because the types of this peer are not there on a bare clone.

import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";

export async function contender({ config, weights, rows, targets, a, b, sizes }) {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js has no webgpu device here");
  defaultDevice("webgpu");
  const { sequences: B, length: T, width: D, heads: H, layers, square, products } = sizes;
  const array = (data, shape) => np.array(data).reshape(shape);
  /** Weights lie [outputs, inputs] in files; here they are wanted the other way round. */
  const dense = (path) => {
    const { data, shape } = weights.get(`${path}.weight`);
    const [outputs, inputs] = shape;
    const turned = new Float32Array(data.length);
    for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) turned[i * outputs + o] = data[o * inputs + i];
    return { weight: array(turned, [inputs, outputs]), bias: array(weights.get(`${path}.bias`).data, [outputs]) };
  };
  const norm = (path) => ({
    gamma: array(weights.get(`${path}.weight`).data, [D]),
    beta: array(weights.get(`${path}.bias`).data, [D]),
  });
  const parameters = {
    layers: Array.from({ length: layers }, (_, i) => {
      const [self, out, last] = ["attention.self", "attention.output", "output"].map(
        (at) => `bert.encoder.layer.${i}.${at}`,
      );
      return {
        ...{ query: dense(`${self}.query`), key: dense(`${self}.key`), value: dense(`${self}.value`) },
        ...{ output: dense(`${out}.dense`), norm1: norm(`${out}.LayerNorm`) },
        ...{
          up: dense(`bert.encoder.layer.${i}.intermediate.dense`),
          down: dense(`${last}.dense`),
          norm2: norm(`${last}.LayerNorm`),
        },
      };
    }),
    pooler: dense("bert.pooler.dense"),
    classifier: dense("classifier"),
  };

  const apply = (p, x) => np.matmul(x, p.weight).add(p.bias);
  const normalize = (p, x) => nn.standardize(x, -1, { epsilon: config.layer_norm_eps }).mul(p.gamma).add(p.beta);
  function layer(p, x) {
    const split = (y) => y.reshape([B, T, H, D / H]);
    const [q, k, v] = [p.query, p.key, p.value].map((projection) => split(apply(projection, x.ref)));
    const context = nn.dotProductAttention(q, k, v, { scale: 1 / Math.sqrt(D / H) }).reshape([B * T, D]);
    const attended = normalize(p.norm1, apply(p.output, context).add(x));
    const inner = nn.gelu(apply(p.up, attended.ref), { approximate: false });
    return normalize(p.norm2, apply(p.down, inner).add(attended));
  }
  function logits(p, x) {
    const first = p.layers
      .reduce((h, one) => layer(one, h), x)
      .reshape([B, T, D])
      .slice([], 0);
    return apply(p.classifier, np.tanh(apply(p.pooler, first)));
  }
  const loss = (p, x, t) =>
    nn
      .logSoftmax(logits(p, x))
      .mul(t)
      .sum()
      .mul(-1 / B);
  const chain = (y, w) => {
    for (let i = 1; i < products; i++) y = np.matmul(y, w.ref);
    return np.matmul(y, w);
  };

  const [x, t] = [array(rows, [B * T, D]), array(targets, [B, 2])];
  const [left, right] = [array(a, [square, square]), array(b, [square, square])];
  const [forward, gradients, multiplied] = [jit(logits), jit(valueAndGrad(loss)), jit(chain)];
  return {
    name: "jax-js",
    units: {
      products: () => multiplied(left.ref, right.ref).data(),
      forward: () => forward(tree.ref(parameters), x.ref).data(),
      async gradients() {
        const [l, g] = gradients(tree.ref(parameters), x.ref, t.ref);
        await blockUntilReady(g);
        const numbers = await l.data();
        tree.dispose(g);
        return numbers;
      },
    },
    close() {},
  };
}
