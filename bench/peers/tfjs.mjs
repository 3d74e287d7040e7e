// TensorFlow.js as a contender, on a back end that is there already: what it has no operation for is written with those that it has.
// JavaScript, because the types of this peer are not there on a bare clone.

import * as tf from "@tensorflow/tfjs-core";

export async function contender({ config, weights, rows, targets, a, b, sizes }, backend) {
  if (!(await tf.setBackend(backend))) throw new Error(`tfjs has no ${backend} backend here`);
  await tf.ready();
  const { sequences: B, length: T, width: D, heads: H, square, products } = sizes;
  const p = new Map(
    [...weights]
      .filter(([path]) => !path.includes("embeddings"))
      .map(([path, { shape, data }]) => [path, tf.variable(tf.tensor(data, shape))]),
  );
  const x = tf.tensor2d(rows, [B * T, D]);
  const oneHot = tf.tensor2d(targets, [B, 2]);
  const [left, right] = [tf.tensor2d(a, [square, square]), tf.tensor2d(b, [square, square])];

  const dense = (path, y) => tf.add(tf.matMul(y, p.get(`${path}.weight`), false, true), p.get(`${path}.bias`));
  const normalize = (path, y) => {
    const centred = tf.sub(y, tf.mean(y, -1, true));
    const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), config.layer_norm_eps));
    return tf.add(tf.mul(tf.div(centred, deviation), p.get(`${path}.weight`)), p.get(`${path}.bias`));
  };
  const gelu = (y) => tf.mul(tf.mul(y, 0.5), tf.add(tf.erf(tf.mul(y, Math.SQRT1_2)), 1));
  const split = (y) => tf.transpose(tf.reshape(y, [B, T, H, D / H]), [0, 2, 1, 3]);
  const layer = (y, i) => {
    const at = `bert.encoder.layer.${i}`;
    const [q, k, v] = ["query", "key", "value"].map((name) => split(dense(`${at}.attention.self.${name}`, y)));
    const attention = tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(D / H)));
    const context = tf.reshape(tf.transpose(tf.matMul(attention, v), [0, 2, 1, 3]), [B * T, D]);
    const attended = normalize(
      `${at}.attention.output.LayerNorm`,
      tf.add(dense(`${at}.attention.output.dense`, context), y),
    );
    const inner = gelu(dense(`${at}.intermediate.dense`, attended));
    return normalize(`${at}.output.LayerNorm`, tf.add(dense(`${at}.output.dense`, inner), attended));
  };
  const logits = () => {
    let y = x;
    for (let i = 0; i < sizes.layers; i++) y = layer(y, i);
    const first = tf.reshape(tf.slice(tf.reshape(y, [B, T, D]), [0, 0, 0], [B, 1, D]), [B, D]);
    return dense("classifier", tf.tanh(dense("bert.pooler.dense", first)));
  };
  const loss = () => tf.mul(tf.sum(tf.mul(tf.logSoftmax(logits()), oneHot)), -1 / B);

  /** The numbers of what `make` returns, when the queue is empty. */
  const finished = async (make) => {
    const out = tf.tidy(make);
    const numbers = await out.data();
    await tf.backend().queue?.onSubmittedWorkDone();
    out.dispose();
    return numbers;
  };
  return {
    name: "tfjs",
    units: {
      products: () =>
        finished(() => {
          let y = left;
          for (let i = 0; i < products; i++) y = tf.matMul(y, right);
          return y;
        }),
      forward: () => finished(logits),
      gradients: () => finished(() => tf.variableGrads(loss).value),
    },
    close: () => tf.disposeVariables(),
  };
}
