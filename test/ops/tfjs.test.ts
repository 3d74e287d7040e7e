// Products against an independent WASM implementation, @tensorflow/tfjs-backend-wasm, in all transposes.

import { createRequire } from "node:module";
import { dirname } from "node:path";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { keep, matmul } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Random } from "../../src/random.ts";
import { node } from "../../src/runtimes/node.ts";
import { distance } from "./case.ts";

beforeAll(async () => {
  const entry = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
  setWasmPaths(`${dirname(entry)}/`);
  await tf.setBackend("wasm");
});

for (const [M, N, K] of [
  [128, 768, 768],
  [67, 312, 1200],
  [1, 30, 26],
])
  for (const transposeA of [false, true])
    for (const transposeB of [false, true])
      test(`${M}×${N}×${K}${transposeA ? " Aᵀ" : ""}${transposeB ? " Bᵀ" : ""}`, async () => {
        const random = new Random(1, "tfjs");
        const normal = (n: number) => Float32Array.from({ length: n }, () => random.normal());
        const [shapeA, shapeB] = [transposeA ? [K, M] : [M, K], transposeB ? [N, K] : [K, N]];
        const [a, b] = [normal(M * K), normal(N * K)];
        const truth = tf.matMul(
          tf.tensor2d(a, shapeA as [number, number]),
          tf.tensor2d(b, shapeB as [number, number]),
          transposeA,
          transposeB,
        );
        const trace = new Trace();
        const [x, y] = [trace.input("a", shapeA), trace.input("b", shapeB)];
        const out = keep(matmul({ a: x, b: y }, { transposeA, transposeB }), "out");
        const executor = await WasmExecutor.create(node, { threads: 1 });
        const loaded = executor.load(trace.finish("product"));
        executor.write(x, a);
        executor.write(y, b);
        executor.run(loaded);
        expect(distance(await executor.read(out), await truth.data())).toBeLessThanOrEqual(3e-6);
        executor.dispose();
      });
