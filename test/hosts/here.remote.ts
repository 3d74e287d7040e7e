// here.ts for the hosts that vitest drives: Deno and browsers. The bundler gives the fixtures.

import fixtures from "limbeck:fixtures";
import type { Here } from "./here.ts";

const page = "document" in globalThis;
const runtime = page
  ? (await import("../../src/runtimes/browser.ts")).browser
  : (await import("../../src/runtimes/node.ts")).node;

export const here: Here = {
  runtime,
  remote: true,
  threads: [1],
  webgpu: "1",
  fixture(name) {
    const bytes = fixtures[name];
    if (!bytes) throw new Error(`the bundle has no fixture ${name}`);
    return bytes;
  },
};
