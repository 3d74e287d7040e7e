// limbeck in a browser: compiled modules beside the bundle, WebGPU from navigator. One thread, and no paths: models and data come as bytes.

import { InputError, LimbeckError } from "../errors.ts";
import type { Runtime } from "./runtime.ts";

function noPaths(path: string): never {
  throw new InputError("NO_PATHS", "a browser has no paths; give the files themselves: { name, bytes } or Files.", {
    where: path,
  });
}

export const browser: Runtime = {
  name: "browser",

  cores: () => navigator.hardwareConcurrency,

  async compile(build) {
    const url = new URL(`limbeck.${build}.wasm`, import.meta.url);
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      return await WebAssembly.compile(await response.arrayBuffer());
    } catch (cause) {
      throw new LimbeckError(
        "NOT_BUILT",
        "the compiled kernels did not load; serve the .wasm files of dist/ beside the script.",
        { where: url.href, cause },
      );
    }
  },

  gpu: async () => navigator.gpu as GPU | undefined,

  folder: noPaths,

  readFile: async (path) => noPaths(path),
};
