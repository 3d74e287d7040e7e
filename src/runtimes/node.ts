// limbeck on Node, which has WebGPU through a package alone.

import { InputError } from "../errors.ts";
import { ownGpu } from "./gpu.ts";
import type { Runtime } from "./runtime.ts";
import { system } from "./system.ts";

export const node: Runtime = {
  name: "node",
  ...system,

  async gpu() {
    const own = ownGpu();
    if (own) return own;
    const webgpu = await import("webgpu").catch((cause) => {
      const why =
        cause.code === "ERR_MODULE_NOT_FOUND"
          ? "Node has WebGPU through the package webgpu only: run `npm install webgpu`"
          : `the package webgpu does not load: ${cause.message}`;
      throw new InputError("NO_WEBGPU", why, { cause });
    });
    // Kept by nobody else: Node does not exit while this object is reachable.
    return webgpu.create([]);
  },
};

export { node as runtime };
