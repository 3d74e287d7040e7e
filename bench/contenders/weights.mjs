// Weights of an encoder classifier under the names of Hugging Face, for peers: the values do not matter.

let state = 1;
export function noise(count, scale = 1) {
  return new Float32Array(count).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * scale;
  });
}

/** Without embeddings: path → { shape, data }. */
export function weightsOf({ layers, width: D, inner: F }) {
  const weights = new Map();
  const matrix = (path, shape) =>
    weights.set(path, {
      shape,
      data: noise(
        shape.reduce((a, b) => a * b, 1),
        0.035,
      ),
    });
  const dense = (path, outputs, inputs) =>
    matrix(`${path}.weight`, [outputs, inputs]) && matrix(`${path}.bias`, [outputs]);
  for (let i = 0; i < layers; i++) {
    const at = `bert.encoder.layer.${i}`;
    for (const name of ["self.query", "self.key", "self.value", "output.dense"]) dense(`${at}.attention.${name}`, D, D);
    dense(`${at}.intermediate.dense`, F, D);
    dense(`${at}.output.dense`, D, F);
    for (const name of ["attention.output", "output"]) {
      weights.set(`${at}.${name}.LayerNorm.weight`, { shape: [D], data: new Float32Array(D).fill(1) });
      weights.set(`${at}.${name}.LayerNorm.bias`, { shape: [D], data: new Float32Array(D) });
    }
  }
  dense("bert.pooler.dense", D, D);
  dense("classifier", 2, D);
  return weights;
}
