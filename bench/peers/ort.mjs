// onnxruntime-web on WebGPU as a contender. It has no training, so it runs forward only; its models are made by onnx.mjs.
// JavaScript, because the types of this peer are not there on a bare clone. `place` is where its files lie.

import { chain, encoder } from "./onnx.mjs";

export async function contender(task, place) {
  const ort = await import(/* @vite-ignore */ `${place}ort.webgpu.bundle.min.mjs`);
  ort.env.wasm.wasmPaths = place;
  ort.env.logLevel = "error";
  const { sequences, length, width, square } = task.sizes;
  const open = async (bytes, data, shape) => {
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["webgpu"] });
    const x = new ort.Tensor("float32", data, shape);
    return { session, run: async () => (await session.run({ x })).y.data };
  };
  const forward = await open(encoder(task), task.rows, [sequences * length, width]);
  const products = await open(chain(task), task.a, [square, square]);
  return {
    name: "onnxruntime-web",
    units: { products: products.run, forward: forward.run },
    close: () => Promise.all([forward.session.release(), products.session.release()]),
  };
}
