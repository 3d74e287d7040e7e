// What is bundled for a host: who takes part. A peer that fails to start must not keep the others from it, so each is loaded when it is opened.

import { serve } from "./host.ts";

await serve({
  limbeck: async (task) => (await import("./limbeck.ts")).contender(task, navigator.gpu),
  tfjs: async (task) => {
    await import("@tensorflow/tfjs-core/dist/register_all_gradients.js");
    await import("@tensorflow/tfjs-backend-webgpu");
    return (await import("./tfjs.mjs")).contender(task, "webgpu");
  },
  "jax-js": async (task) => (await import("./jax.mjs")).contender(task),
  "onnxruntime-web": async (task, place) => (await import("./ort.mjs")).contender(task, place),
});
