// limbeck on Deno, which has WebGPU built in.

import { ownGpu } from "./gpu.ts";
import type { Runtime } from "./runtime.ts";
import { system } from "./system.ts";

export const deno: Runtime = { name: "deno", ...system, gpu: async () => ownGpu() };

export { deno as runtime };
