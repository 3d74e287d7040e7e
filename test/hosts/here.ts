// What a test may know of the host that it runs on. This is Node under vitest; the bundle for other hosts has here.remote.ts in its place.

import { existsSync, readFileSync } from "node:fs";
import { node } from "../../src/runtimes/node.ts";
import type { Runtime } from "../../src/runtimes/runtime.ts";

export interface Here {
  readonly runtime: Runtime;
  /** Not under vitest but in a host that it drives: whatever does not depend on the host is left out. */
  readonly remote: boolean;
  /** Numbers of WASM threads to test. */
  readonly threads: readonly number[];
  /** LIMBECK_WEBGPU: 1, it must be there, else the tests fail; 0, it is not looked for; unset, it runs where an adapter is. */
  webgpu: string | undefined;
  /** The bytes of a file in test/fixtures. */
  fixture(name: string): Uint8Array;
}

// Debian's Chromium brings SwiftShader, a Vulkan driver that needs no GPU and that Dawn accepts.
const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";
if (existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;

export const here: Here = {
  runtime: node,
  remote: false,
  threads: [1, 2],
  webgpu: process.env.LIMBECK_WEBGPU,
  fixture: (name) => new Uint8Array(readFileSync(new URL(`../fixtures/${name}`, import.meta.url))),
};
