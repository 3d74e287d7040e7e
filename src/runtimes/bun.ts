// limbeck on Bun, which has no WebGPU of its own: an application gives a GPU (`device`), or loads a package that sets navigator.gpu.

import { ownGpu } from "./gpu.ts";
import type { Runtime } from "./runtime.ts";
import { system } from "./system.ts";

export const bun: Runtime = { name: "bun", ...system, gpu: async () => ownGpu() };

export { bun as runtime };
