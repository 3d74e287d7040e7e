// Losses over the tokens of a ragged batch, as recipes compose them, against values and gradients of PyTorch (tokenLosses.py).

import { describe, expect, test } from "vitest";
import {
  attentionPairs,
  cosineDistance,
  gradient,
  keep,
  kl,
  mse,
  softCrossEntropy,
  softmax,
  sum,
} from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import type { Value } from "../../src/program/value.ts";
import { devices } from "../executors/each.ts";
import { fixtureJson } from "../fixtures/read.ts";
import { distance } from "./case.ts";

const { offsets, cases } = fixtureJson("tokenLosses.json");
const [TOKENS, N, L] = [offsets.at(-1) as number, 32, 32];
const real = offsets.slice(1).filter((end: number, b: number) => end > offsets[b]).length;

/** w[n] of tokens: 1/(sequences·length of its own), or 1/tokens; 0 on tail rows. */
const weights = (own: boolean) =>
  Array.from({ length: N }, (_, n) => {
    if (n >= TOKENS) return 0;
    const b = offsets.findLastIndex((start: number) => start <= n);
    return own ? 1 / (real * (offsets[b + 1] - offsets[b])) : 1 / TOKENS;
  });

interface Case {
  name: string;
  kind: "scores" | "relation" | "cosine" | "soft";
  heads: number;
  temperature: number;
  student: number[][][];
  teacher: number[][][];
  value: number;
  gradients: number[][][];
}

function rows(c: Case, trace: Trace, student: Value[], teacher: Value[]): Value {
  const at = trace.input("offsets", [offsets.length], "u32");
  const weight = trace.constant(weights(c.kind !== "cosine"));
  const temperature = trace.constant([1]);
  const pairs = ([q, k]: Value[]) =>
    attentionPairs({ q, k: k ?? q, offsets: at }, { H: c.heads, L, scale: 1 / Math.sqrt(q.shape[1] / c.heads) });
  if (c.kind === "scores") return mse({ a: pairs(student), b: pairs(teacher), weight, offsets: at }, {});
  if (c.kind === "cosine") return cosineDistance({ a: student[0], b: teacher[0], weight });
  if (c.kind === "relation") {
    const targets = softmax({ x: pairs(teacher), offsets: at }, {});
    return kl({ targets, logits: pairs(student), temperature, weight, offsets: at }, {});
  }
  const T = trace.constant([c.temperature]);
  const quarter = trace.constant([0.25, 0.25, 0.25, 0.25]);
  const targets = softmax({ x: teacher[0], temperature: T }, {});
  return softCrossEntropy({ targets, logits: student[0], temperature: T, weight: quarter });
}

for (const device of devices)
  describe.skipIf(device.missing)(`on ${device.name}`, () => {
    for (const c of cases as Case[])
      test(`${c.kind}: ${c.name}`, async () => {
        const trace = new Trace();
        const count = c.kind === "soft" ? 4 : N;
        const student = c.student.map((x, i) => trace.state(`s${i}`, [count, x[0].length]));
        const teacher = c.teacher.map((x, i) => trace.input(`t${i}`, [count, x[0].length]));
        const loss = sum({ x: rows(c, trace, student, teacher) }, {});
        const targets = student.map((value, i) => trace.state(`d${i}`, value.shape));
        gradient(loss, new Map(student.map((value, i) => [value, targets[i]])));
        const value = keep(loss, "loss");
        const executor = await device.make();
        const loaded = executor.load(trace.finish("loss"));
        // Tail rows hold numbers that nothing may count.
        const tailed = (x: number[][]) =>
          Float64Array.from([...x, ...Array.from({ length: count - x.length }, () => x[0].map(() => 9))].flat());
        for (const [i, x] of c.student.entries()) executor.write(student[i], tailed(x));
        for (const [i, x] of c.teacher.entries()) executor.write(teacher[i], tailed(x));
        executor.write({ name: "offsets", shape: [offsets.length], dtype: "u32" }, Uint32Array.from(offsets));
        executor.run(loaded);
        const tolerance = device.name === "reference" ? 1e-9 : 1e-5;
        expect(distance(await executor.read(value), [c.value])).toBeLessThanOrEqual(tolerance);
        for (const [i, expected] of c.gradients.entries()) {
          const found = await executor.read(targets[i]);
          const flat = expected.flat();
          expect(distance(found.slice(0, flat.length), flat)).toBeLessThanOrEqual(tolerance);
          expect([...found.slice(flat.length)].every((x) => x === 0)).toBe(true);
        }
        executor.dispose();
      });
  });
