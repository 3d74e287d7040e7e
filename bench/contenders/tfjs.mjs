// tfjs-wasm's part of bench/cpu.ts. It has one thread in Node whatever it is asked for, packs the second operand of a product only once, and
// has no gradient of an embedding (UnsortedSegmentSum): its training step begins at embedded rows.

import process from "node:process";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import { contender } from "../peers/tfjs.mjs";
import { answer } from "./lines.mjs";
import { noise, weightsOf } from "./weights.mjs";

const { what, product, model, sequences, length } = JSON.parse(process.argv[2]);
if (what === "product") {
  await tf.setBackend("wasm");
  const { M, N, K, transposeA = false, transposeB = false } = product;
  const a = tf.randomUniform(transposeA ? [K, M] : [M, K]);
  const b = tf.randomUniform(transposeB ? [N, K] : [K, N]);
  await answer(() => tf.dispose(tf.matMul(a, b, transposeA, transposeB)));
} else {
  const task = {
    ...{ config: { layer_norm_eps: 1e-12 }, weights: weightsOf(model) },
    ...{ rows: noise(sequences * length * model.width), a: noise(4), b: noise(4) },
    targets: Float32Array.from({ length: 2 * sequences }, (_, i) => Number(i % 2 === (i >> 1) % 2)),
    sizes: { ...model, sequences, length, square: 2, products: 1 },
  };
  const { units } = await contender(task, "wasm");
  const turn = { gradients: units.gradients, predict: units.forward }[what];
  if (!turn) throw new Error(`tfjs-wasm is not asked for "${what}"`);
  await answer(turn);
}
