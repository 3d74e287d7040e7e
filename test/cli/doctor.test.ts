// limbeck doctor, as a command and as a function.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { wasmFeatures } from "../../src/executors/wasmFeatures.ts";
import { node } from "../../src/runtimes/node.ts";
import { doctor } from "../../src/train/doctor.ts";
import { selfTestNames, selfTestNamesOf } from "../../src/train/selfTest.ts";
import { webgpu } from "../executors/each.ts";
import { wrong } from "../train/gpus.ts";

const command = new URL("../../dist/cli.js", import.meta.url).pathname;

test("the command: an object on stdout, tables for people, exit 0", async () => {
  // Where WebGPU is not looked for, the command must not find it either.
  const env = webgpu.missing ? { ...process.env, VK_ICD_FILENAMES: "/nowhere" } : process.env;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [command, "doctor", "--json"], { env });
  const found = JSON.parse(stdout);
  expect(found).toMatchObject({ type: "doctor", host: "node", cores: node.cores() });
  expect(found.memory).toBeGreaterThan(1e8);
  expect(found.wasm).toMatchObject({ wrong: [], simd: true, sharedMemory: true });
  expect(found.wasm.threads).toBeGreaterThanOrEqual(1);
  expect(Object.keys(found.wasm.errors)).toEqual(selfTestNames);
  expect(Object.values(found.wasm.errors).every((error) => (error as number) < 1e-5)).toBe(true);
  expect(found.auto).toMatch(/^(wasm|webgpu): /);
  for (const line of [/^relaxed SIMD +(yes|no)$/m, /^attention +\de-\d/m, /^--device auto: (wasm|webgpu): /m])
    expect(stderr).toMatch(line);
  if (webgpu.missing) return;
  const [adapter] = found.webgpu.adapters;
  expect(adapter.limits.maxBufferSize).toBeGreaterThanOrEqual(268_435_456);
  expect(found.webgpu).toMatchObject({ wrong: [] });
  expect(Object.keys(found.webgpu.errors)).toEqual(selfTestNamesOf({ features: new Set(adapter.features) }));
  for (const line of [`WebGPU adapter +${adapter.name.replace(/\W/g, ".")}$`, "^shader-f16 +(yes|no)$"])
    expect(stderr).toMatch(new RegExp(line, "m"));
});

test("a host without a GPU: a reason, and auto stays with WASM", async () => {
  const found = await doctor({ ...node, gpu: undefined });
  expect(found.webgpu).toMatchObject({ adapters: [], problem: "node has no WebGPU; use --device wasm.", errors: {} });
  expect(found.auto).toMatch(/^wasm: .*, because node has no WebGPU$/);
  expect(found.wasm.problem).toBeUndefined();
});

test("kernels that do not load are a finding, not an end", async () => {
  const compile = () => Promise.reject(new Error("the kernels are gone"));
  const found = await doctor({ ...node, compile, gpu: undefined });
  expect(found.wasm).toMatchObject({ problem: "the kernels are gone", threads: 0 });
  expect(found.auto).toBe("nothing: the kernels are gone");
});

test.skipIf(webgpu.missing)("a GPU that computes wrongly is shown kernel by kernel, and not chosen", async () => {
  const gpu = (await node.gpu?.()) as GPU;
  const found = await doctor({ ...node, gpu: async () => wrong(gpu, { vendor: "acme" }) });
  expect(found.webgpu.problem).toBeUndefined();
  const products = ["matmul", "matmulInParts", "half", "lstm"];
  expect(found.webgpu.wrong).toEqual(products.filter((name) => name in found.webgpu.errors));
  expect(found.webgpu.errors.matmul).toBeGreaterThan(0.1);
  expect(found.auto).toMatch(/^wasm: .*, because acme computes wrongly: matmul is off by /);
});

test("relaxed SIMD is seen where it is", () => {
  setFlagsFromString("--experimental-wasm-relaxed-simd");
  expect(wasmFeatures()).toEqual({ simd: true, relaxedSimd: true, sharedMemory: true });
});
