// What the executors and the commands rely on in a runtime, on whichever host this is.

import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { here } from "../hosts/here.ts";

const { runtime } = here;

test("the kernels compile, for threads and for one", async () => {
  for (const target of ["threads", "single"] as const)
    expect(WebAssembly.Module.exports(await runtime.compile(target))).toContainEqual({ name: "run", kind: "function" });
});

test("as many threads run as were asked for, or one and a note", async () => {
  const executor = await WasmExecutor.create(runtime, { threads: 2 });
  if (runtime.startThread) expect([executor.threads, executor.note]).toEqual([2, undefined]);
  else {
    expect(executor.threads).toBe(1);
    expect(executor.note).toMatch(/^one thread instead of 2: limbeck starts no threads in a \w+$/);
  }
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
