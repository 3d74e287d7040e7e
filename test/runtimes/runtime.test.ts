// What the executors and the commands rely on in a runtime, on whichever host this is.

import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { wasmFeatures } from "../../src/executors/wasmFeatures.ts";
import { here } from "../hosts/here.ts";

const { runtime } = here;

test("every build that this host can use compiles", async () => {
  const ways = wasmFeatures().relaxedSimd ? (["", "fast."] as const) : ([""] as const);
  const threads = runtime.startThread ? ways.map((way) => `${way}threads` as const) : [];
  for (const build of [...threads, ...ways.map((way) => `${way}single` as const), "inference"] as const)
    expect(WebAssembly.Module.exports(await runtime.compile(build))).toContainEqual(
      expect.objectContaining({ name: "run", kind: "function" }),
    );
});

test("as many threads run as were asked for, or one and a note", async () => {
  const executor = await WasmExecutor.create(runtime, { threads: 2 });
  const alone = runtime.oneThread?.();
  const [threads, note] = alone === undefined ? [2, undefined] : [1, `one thread instead of 2: ${alone}`];
  expect([executor.threads, executor.note]).toEqual([threads, note]);
  executor.dispose();
  expect(runtime.cores()).toBeGreaterThanOrEqual(1);
});

test("what cannot be read is the user's error, with its name", async () => {
  const path = "no/such/file.tsv";
  const attempts = [() => runtime.readFile(path), () => runtime.folder(path).list()];
  for (const attempt of attempts) {
    const error = await (async () => attempt())().catch((reason) => reason);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain(path);
  }
});
