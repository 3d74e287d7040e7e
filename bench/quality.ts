// What distillation gains on real tasks: students of a real base, trained by each recipe on the same rows with the same start, compared
// seed by seed. Every cell is one JSON line in bench/results/quality-TASK.jsonl and is not run again, so a run may be stopped and resumed.
//   npm run bench -- quality teacher --task mrpc --base DIR --out DIR [--epochs 3 --learning-rate 5e-5]   fine-tunes a teacher
//   npm run bench -- quality [cells] --teacher DIR --base DIR --cells hard,kd,pkd-skip,pkd-last --seeds 1,2,3 [--rows 5000]
//   npm run bench -- quality grid    --teacher DIR --base DIR [--rows 2500]       hard, and kd for T 1, 4, 10 × α 0.5, 0.7, 0.9
//   npm run bench -- quality table   [--task sst2]                               prints the tables of what has been run
// The data are read from --data (default ../shared/data) and never written anywhere; students are judged after their last step.

import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { serializeSafetensors } from "../src/formats/safetensors.ts";
import {
  type DatasetOptions,
  distill,
  finetune,
  loadModel,
  type Metrics,
  type Run,
  recipes,
  VERSION,
} from "../src/index.ts";
import { Random } from "../src/random.ts";
import { sha256 } from "../src/sha256.ts";
import { table } from "./common.ts";

interface Task {
  readonly train: string;
  readonly dev?: string;
  readonly test: string;
  readonly header: boolean;
  readonly read: DatasetOptions;
  readonly metric: "accuracy" | "spearman";
}

const STSB: DatasetOptions = { format: "tsv", textColumn: 5, pairColumn: 6, labelColumn: 4, task: "regression" };
const TASKS: Readonly<Record<string, Task>> = {
  sst2: {
    ...{ train: "sst2/train.tsv", dev: "sst2/dev.tsv", test: "sst2/test.tsv" },
    ...{ header: true, read: {}, metric: "accuracy" },
  },
  mrpc: {
    ...{ train: "mrpc/msr_paraphrase_train.txt", test: "mrpc/msr_paraphrase_test.txt" },
    ...{ header: true, read: {}, metric: "accuracy" },
  },
  stsb: {
    ...{ train: "stsb/sts-train.csv", dev: "stsb/sts-dev.csv", test: "stsb/sts-test.csv" },
    ...{ header: false, read: STSB, metric: "spearman" },
  },
};

/** Everything that decides a cell's outcome; two lines with equal settings are the same cell. */
interface Settings {
  readonly recipe: string;
  readonly temperature?: number;
  readonly alpha?: number;
  readonly beta?: number;
  readonly student: string;
  readonly rows: number;
  readonly epochs: number;
  readonly maxSteps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly seed: number;
  /** SHA-256 of the training rows, and of the weights of teacher and base. */
  readonly data: string;
  readonly teacher: string;
  readonly base: string;
}

interface Cell {
  readonly kind: "student";
  readonly settings: Settings;
  readonly dev?: Metrics;
  readonly test: Metrics;
  /** Of training, without evaluation. */
  readonly seconds: number;
  /** SHA-256 of the student's model.safetensors. */
  readonly weights: string;
  readonly version: string;
}

interface TeacherLine {
  readonly kind: "teacher";
  readonly teacher: string;
  readonly dev?: Metrics;
  readonly test: Metrics;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    task: { type: "string", default: "sst2" },
    data: { type: "string", default: "../shared/data" },
    test: { type: "string" },
    results: { type: "string" },
    teacher: { type: "string" },
    base: { type: "string" },
    out: { type: "string" },
    student: { type: "string", default: "layers:3" },
    cells: { type: "string", default: "hard,kd,pkd-skip,pkd-last" },
    seeds: { type: "string", default: "1,2,3" },
    rows: { type: "string" },
    epochs: { type: "string", default: "3" },
    "max-steps": { type: "string", default: "0" },
    "batch-size": { type: "string", default: "32" },
    "learning-rate": { type: "string", default: "5e-5" },
    temperature: { type: "string" },
    alpha: { type: "string" },
    beta: { type: "string" },
    threads: { type: "string", default: "2" },
  },
});
const task = TASKS[options.task];
if (!task) throw new Error(`there is no task "${options.task}"; there are ${Object.keys(TASKS).join(", ")}`);
const threads = Number(options.threads);
const folder = (name: "teacher" | "base" | "out"): string => {
  const given = options[name];
  if (given === undefined) throw new Error(`name the ${name} by --${name} DIR`);
  return given;
};
const file = (name: string) => `${options.data}/${name}`;
const testFile = options.test ?? file(task.test);
const resultsFile =
  options.results ?? fileURLToPath(new URL(`../../bench/results/quality-${options.task}.jsonl`, import.meta.url));

async function readResults(): Promise<(Cell | TeacherLine)[]> {
  const text = await readFile(resultsFile, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
}

async function writeResult(line: Cell | TeacherLine): Promise<void> {
  await mkdir(dirname(resultsFile), { recursive: true });
  await appendFile(resultsFile, `${JSON.stringify(line)}\n`);
}

/** The first `rows` of one shuffled order of the training file, the same for every cell; 0: all rows as they are. */
async function trainingRows(rows: number): Promise<{ name: string; bytes: Uint8Array; count: number }> {
  const lines = (await readFile(file(task.train), "utf8")).split("\n");
  if (lines.at(-1) === "") lines.pop();
  const header = task.header ? lines.splice(0, 1) : [];
  const order = new Random(0, `bench/quality/${options.task}`).shuffle(lines.map((_, i) => i));
  const chosen = rows > 0 && rows < lines.length ? order.slice(0, rows).map((i) => lines[i]) : lines;
  const text = `${[...header, ...chosen].join("\n")}\n`;
  return { name: task.train, bytes: new TextEncoder().encode(text), count: chosen.length };
}

const weightsOf = async (path: string) => sha256(await readFile(`${path}/model.safetensors`));

async function measure(model: Parameters<typeof loadModel>[0], path: string): Promise<Metrics> {
  const classifier = await loadModel(model, { device: "wasm", threads });
  try {
    return (await classifier.evaluate(path, task.read)).metrics;
  } finally {
    classifier.dispose();
  }
}

async function judgeTeacher(path: string): Promise<string> {
  const teacher = await weightsOf(path);
  if ((await readResults()).some((line) => line.kind === "teacher" && line.teacher === teacher)) return teacher;
  const dev = task.dev && (await measure(path, file(task.dev)));
  await writeResult({ kind: "teacher", teacher, ...(dev ? { dev } : {}), test: await measure(path, testFile) });
  return teacher;
}

const stop = new AbortController();
process.once("SIGINT", () => {
  console.error("stopping after this step; press Ctrl-C again to end at once");
  process.exitCode = 130;
  stop.abort();
});

async function finish(name: string, run: Run) {
  for await (const event of run) {
    if (event.type === "note") console.error(`${name}: ${event.text}`);
    else if (event.type === "step")
      console.error(
        `${name}: step ${event.step} of ${event.steps}, loss ${event.loss.toFixed(4)}, ` +
          `${event.tokensPerSecond.toFixed(0)} tokens/s, ${event.secondsLeft.toFixed(0)} s left`,
      );
  }
  return run.result;
}

const common = {
  ...{ device: "wasm" as const, threads, data: task.read, loggingSteps: 50, signal: stop.signal },
  epochs: Number(options.epochs),
  maxSteps: Number(options["max-steps"]),
  batchSize: Number(options["batch-size"]),
  learningRate: Number(options["learning-rate"]),
  // Judged once, at the end: nothing is chosen by the evaluation.
  evalSteps: 1e9,
};

async function runTeacher(): Promise<void> {
  const train = await trainingRows(Number(options.rows ?? 0));
  const seed = Number(options.seeds.split(",")[0]);
  const result = await finish(
    `${options.task} teacher`,
    finetune({ ...common, model: folder("base"), train, seed, out: folder("out"), eval: task.dev && file(task.dev) }),
  );
  if (result.complete) await judgeTeacher(folder("out"));
}

type Variant = Pick<Settings, "recipe" | "temperature" | "alpha" | "beta">;

/** A recipe with every number of its own: those asked for, else its defaults. */
function variant(recipe: string, asked: Readonly<Record<string, string | number | undefined>>): Variant {
  if (!Object.hasOwn(recipes, recipe)) throw new Error(`there is no recipe "${recipe}"`);
  const numbers = Object.entries(recipes[recipe].hyper ?? {}).map(([name, usual]) => [
    name,
    Number(asked[name] ?? usual),
  ]);
  return { recipe, ...Object.fromEntries(numbers) };
}

async function runCells(variants: readonly Variant[], seeds: readonly number[], rows: number): Promise<void> {
  const train = await trainingRows(rows);
  const [teacher, base] = [await judgeTeacher(folder("teacher")), await weightsOf(folder("base"))];
  const data = await sha256(train.bytes);
  for (const seed of seeds)
    for (const chosen of variants) {
      const { epochs, maxSteps, batchSize, learningRate } = common;
      const settings: Settings = {
        ...{ ...chosen, student: options.student, rows: train.count, epochs, maxSteps, batchSize, learningRate, seed },
        ...{ data, teacher, base },
      };
      const key = JSON.stringify(settings);
      if ((await readResults()).some((line) => line.kind === "student" && JSON.stringify(line.settings) === key))
        continue;
      const result = await finish(
        `${options.task} ${title(settings)}, seed ${seed}`,
        distill({
          ...{ ...common, ...chosen, seed, train, teacher: folder("teacher"), student: options.student },
          ...{ initFrom: folder("base"), eval: task.dev ? file(task.dev) : testFile },
        }),
      );
      if (!result.complete) return;
      const agreement = result.metrics?.agreement;
      await writeResult({
        ...{ kind: "student", settings },
        ...(task.dev ? { dev: result.metrics } : {}),
        // Without a development set the teacher is compared on the test set.
        test: { ...(await measure(result.model, testFile)), ...(task.dev ? {} : { agreement }) },
        seconds: Math.round(result.seconds),
        weights: await sha256(serializeSafetensors(result.model.weights)),
        version: VERSION,
      });
    }
}

const title = ({ recipe, temperature, alpha, beta }: Variant) =>
  [
    recipe,
    ...Object.entries({ T: temperature, α: alpha, β: beta }).flatMap(([n, x]) => (x === undefined ? [] : `${n} ${x}`)),
  ].join(" ");

const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length;
/** Of a sample. */
const deviation = (x: readonly number[]) =>
  Math.sqrt(x.reduce((sum, v) => sum + (v - mean(x)) * (v - mean(x)), 0) / (x.length - 1));
const spread = (x: readonly number[], digits = 1) => {
  if (x.length === 0 || x.some((v) => !Number.isFinite(v))) return "–";
  return mean(x).toFixed(digits) + (x.length > 1 ? ` ± ${deviation(x).toFixed(digits)}` : "");
};
const points = (metrics: Metrics | undefined) => 100 * (metrics?.[task.metric] ?? Number.NaN);

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

/** Points over `hard` with the same seed. */
function margins(cells: readonly Cell[], baseline: readonly Cell[]): number[] {
  return cells.flatMap((cell) => {
    const other = baseline.find(({ settings }) => settings.seed === cell.settings.seed);
    return other ? [points(cell.test) - points(other.test)] : [];
  });
}

function printTables(lines: readonly (Cell | TeacherLine)[]): void {
  const cells = lines.filter((line) => line.kind === "student");
  const teachers = lines.filter((line) => line.kind === "teacher");
  if (cells.length === 0)
    for (const { teacher, dev, test } of teachers)
      console.log(
        `teacher ${teacher.slice(0, 12)}: ${task.metric} × 100 dev ${spread([points(dev)])}, test ${spread([points(test)])}`,
      );
  const groups = groupBy(cells, ({ settings: { recipe, temperature, alpha, beta, seed, ...rest } }) =>
    JSON.stringify(rest),
  );
  for (const group of groups.values()) {
    const { rows, epochs, maxSteps, batchSize, learningRate, student, teacher } = group[0].settings;
    const teacherLine = teachers.find((line) => line.teacher === teacher);
    const recipesOf = groupBy(group, ({ settings }) => title(settings));
    const baseline = recipesOf.get("hard") ?? [];
    const budget = maxSteps > 0 ? `at most ${maxSteps} steps` : `${epochs} epochs`;
    console.log(
      `\n${options.task}, ${task.metric} × 100: ${student} on ${rows} rows, ${budget}, batch ${batchSize}, learning rate ${learningRate}; ` +
        "mean ± standard deviation over seeds, margins paired by seed\n",
    );
    const line = (name: string, of: readonly Cell[]) => [
      name,
      of.map(({ settings }) => settings.seed).join(", "),
      spread(of.map(({ dev }) => points(dev))),
      spread(of.map(({ test }) => points(test))),
      name === "hard" ? "–" : spread(margins(of, baseline)),
      spread(of.map(({ dev, test }) => 100 * ((dev ?? test).agreement ?? Number.NaN))),
      spread(
        of.map(({ seconds }) => seconds),
        0,
      ),
    ];
    const body = [...recipesOf].map(([name, of]) => line(name, of));
    if (teacherLine)
      body.unshift([
        "teacher",
        "–",
        spread([points(teacherLine.dev)]),
        spread([points(teacherLine.test)]),
        "–",
        "–",
        "–",
      ]);
    console.log(table(["", "seeds", "dev", "test", "margin over hard, test", "agreement", "seconds"], body));

    const kd = group.filter(({ settings }) => settings.recipe === "kd");
    const numbers = (name: "temperature" | "alpha") =>
      [...new Set(kd.map(({ settings }) => settings[name] as number))].sort((a, b) => a - b);
    const [temperatures, alphas] = [numbers("temperature"), numbers("alpha")];
    if (temperatures.length < 2 || alphas.length < 2) continue;
    const at = (T: number, a: number) => kd.filter(({ settings: s }) => s.temperature === T && s.alpha === a);
    console.log(`\nkd, test ${task.metric} × 100 (margin over hard)\n`);
    console.log(
      table(
        ["T", ...alphas.map((a) => `α ${a}`)],
        temperatures.map((T) => [
          String(T),
          ...alphas.map((a) => {
            const here = at(T, a);
            return `${spread(here.map(({ test }) => points(test)))} (${spread(margins(here, baseline))})`;
          }),
        ]),
      ),
    );
  }
}

const [what = "cells"] = positionals;
if (what === "teacher") await runTeacher();
else if (what === "cells")
  await runCells(
    options.cells.split(",").map((recipe) => variant(recipe, options)),
    options.seeds.split(",").map(Number),
    Number(options.rows ?? (options.task === "sst2" ? 5000 : 0)),
  );
else if (what === "grid")
  await runCells(
    [
      variant("hard", {}),
      ...[1, 4, 10].flatMap((temperature) => [0.5, 0.7, 0.9].map((alpha) => variant("kd", { temperature, alpha }))),
    ],
    [Number(options.seeds.split(",")[0])],
    Number(options.rows ?? 2500),
  );
else if (what !== "table") throw new Error(`"${what}" is not known; there are teacher, cells, grid and table`);
printTables(await readResults());
