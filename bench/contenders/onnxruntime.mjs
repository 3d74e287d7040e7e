// onnxruntime-web's part of bench/cpu.ts, on its WASM back end. It has no training; its models are made by peers/onnx.mjs. An encoder begins
// at embedded rows.

import { createRequire } from "node:module";
import process from "node:process";
import { encoder, product } from "../peers/onnx.mjs";
import { answer } from "./lines.mjs";
import { noise, weightsOf } from "./weights.mjs";

const work = JSON.parse(process.argv[2]);
const ort = createRequire(import.meta.url)("onnxruntime-web");
ort.env.wasm.numThreads = work.threads;
ort.env.logLevel = "error";

async function open(model, shape) {
  const session = await ort.InferenceSession.create(model);
  const x = new ort.Tensor("float32", noise(shape[0] * shape[1]), shape);
  await answer(async () => (await session.run({ x })).y.data);
}

if (work.what === "product") {
  const { M, N, K } = work.product;
  await open(product({ b: noise(K * N), sizes: { M, N, K } }), [M, K]);
} else if (work.what === "predict") {
  const { model, sequences, length } = work;
  const task = { config: { layer_norm_eps: 1e-12 }, weights: weightsOf(model), sizes: { ...model, sequences, length } };
  await open(encoder(task), [sequences * length, model.width]);
} else throw new Error("onnxruntime-web has no training");
