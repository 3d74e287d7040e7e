// The losses of a masked-LM head with all their gradients, beside the bare matrix products that they cannot do without: logits of student
// and teacher, and the gradients of rows and table. Both are Programs on the WasmExecutor and take turns. The ratio of processor time says
// more than that of the clock where others share the machine (with one thread: two of them wait for each other by spinning).
//   npm run bench -- vocabulary [--rows 160,1024] [--width 384] [--teacher 768] [--rounds 5] [--threads 2]

import { parseArgs } from "node:util";
import { WasmExecutor } from "../src/executors/wasm.ts";
import { vocabularyLoss } from "../src/models/vocabulary.ts";
import { add, gradient, keep, linear, matmul } from "../src/ops/index.ts";
import { plan } from "../src/program/plan.ts";
import { type Program, Trace } from "../src/program/program.ts";
import type { Value } from "../src/program/value.ts";
import { node } from "../src/runtimes/node.ts";
import { best, machine, noise, table } from "./common.ts";

const V = 30522;
const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "160,1024" },
    width: { type: "string", default: "384" },
    teacher: { type: "string", default: "768" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
  },
});
const [D, W, rounds, threads] = [options.width, options.teacher, options.rounds, options.threads].map(Number);

function inputs(trace: Trace, R: number) {
  const student = { rows: trace.state("x", [R, D]), table: trace.state("E", [V, D]), bias: trace.state("b", [V]) };
  const teacher = { rows: trace.input("y", [R, W]), table: trace.input("F", [V, W]), bias: trace.input("c", [V]) };
  return { student, teacher };
}

const gradientOf = (value: Value) => value.trace.state(`d.${value.name}`, value.shape);

function losses(R: number, soft: boolean): Program {
  const trace = new Trace();
  const { student, teacher } = inputs(trace, R);
  const [labels, weight] = [trace.input("labels", [R], "u32"), trace.input("weight", [R])];
  const hard = { labels, weight };
  const temperature = trace.input("T", [1]);
  const terms = vocabularyLoss(student, soft ? { hard, soft: { teacher, temperature, weight } } : { hard });
  const loss = Object.values(terms).reduce(add);
  gradient(loss, new Map(Object.values(student).map((value) => [value, gradientOf(value)])));
  keep(loss, "loss");
  return trace.finish("losses");
}

function products(R: number, soft: boolean): Program {
  const trace = new Trace();
  const { student, teacher } = inputs(trace, R);
  const z = linear(student.rows, student.table);
  trace.retarget(
    matmul({ a: z, b: student.table }, { transposeA: false, transposeB: false }),
    gradientOf(student.rows),
    true,
  );
  trace.retarget(
    matmul({ a: z, b: student.rows }, { transposeA: true, transposeB: false }),
    gradientOf(student.table),
    true,
  );
  if (soft) keep(linear(teacher.rows, teacher.table), "z");
  return trace.finish("products");
}

const cells: string[][] = [];
console.log(machine());
for (const R of options.rows.split(",").map(Number))
  for (const soft of [false, true]) {
    const executor = await WasmExecutor.create(node, { threads });
    const programs = [losses(R, soft), products(R, soft)];
    const loaded = programs.map((program) => executor.load(program));
    for (const { name, shape, storage, dtype } of programs.flatMap(({ values }) => values)) {
      const size = shape.reduce((a, b) => a * b, 1);
      if (storage !== "input" && storage !== "state") continue;
      const numbers = {
        T: [2],
        weight: Array(R).fill(1 / R),
        labels: Array.from({ length: R }, (_, r) => (r * 7919) % V),
      };
      const data = numbers[name as keyof typeof numbers] ?? noise(size, 0.05);
      executor.write({ name, shape, dtype }, dtype === "u32" ? Uint32Array.from(data) : Float32Array.from(data));
    }
    const times: number[][] = [[], []];
    const processor: number[][] = [[], []];
    for (let round = 0; round <= rounds; round++)
      loaded.forEach((program, i) => {
        const [start, before] = [performance.now(), process.cpuUsage().user];
        executor.run(program);
        if (round === 0) return;
        times[i].push(performance.now() - start);
        processor[i].push((process.cpuUsage().user - before) / 1000);
      });
    const flops = 2 * R * V * (3 * D + (soft ? W : 0));
    const megabytes = plan(programs[0]).slots.reduce((a, b) => a + b, 0) / 2 ** 20;
    cells.push([
      `${R} × ${D}, ${soft ? `labels and a teacher of ${W}` : "labels"}`,
      ...[best(times[0]), best(times[1]), flops / best(times[1]) / 1e6].map((x) => x.toFixed(0)),
      ...[times, processor].map(([a, b]) => (best(a) / best(b)).toFixed(2)),
      megabytes.toFixed(0),
    ]);
    executor.dispose();
  }
console.log(
  table(["rows", "losses ms", "products ms", "GFLOP/s", "ratio", "processor ratio", "temporaries MiB"], cells),
);
