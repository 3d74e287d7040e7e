// here.ts for the hosts that vitest drives. The bundler gives the fixtures.

import fixtures from "limbeck:fixtures";
import type { Runtime } from "../../src/runtimes/runtime.ts";
import type { Here } from "./here.ts";

/** Packages choose by conditions when they are built; this one bundle is for all. */
function load(): Promise<{ runtime: Runtime }> {
  if ("Deno" in globalThis) return import("../../src/runtimes/deno.ts");
  if ("Bun" in globalThis) return import("../../src/runtimes/bun.ts");
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") return import("../../src/runtimes/workerd.ts");
  if ("document" in globalThis || "WorkerGlobalScope" in globalThis) return import("../../src/runtimes/browser.ts");
  return import("../../src/runtimes/node.ts");
}
const { runtime } = await load();

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
