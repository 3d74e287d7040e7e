// limbeck in an edge worker (workerd, which Cloudflare runs): modules come compiled, as imports, because bytes may not become code there; one
// thread; models and data under URLs or as bytes.

import { LimbeckError } from "../errors.ts";
import type { Build, Runtime } from "./runtime.ts";
import { urls } from "./urls.ts";

/** One is loaded of those that a worker is deployed with. */
const MODULES: Readonly<Partial<Record<Build, () => Promise<{ default: WebAssembly.Module }>>>> = {
  single: () => import("./limbeck.single.wasm"),
  "fast.single": () => import("./limbeck.fast.single.wasm"),
  inference: () => import("./limbeck.inference.wasm"),
};

export const workerd: Runtime = {
  name: "workerd",

  cores: () => 1,

  async compile(build) {
    const load = MODULES[build];
    if (!load) throw new LimbeckError("NO_THREADS", `an edge worker has one thread, and no build ${build}`);
    return (await load()).default;
  },

  oneThread: () => "an edge worker has no threads",

  ...urls,
};

export { workerd as runtime };
