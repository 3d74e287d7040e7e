// What distillation gains on real tasks: each preset's student against the same student trained on labels alone, from the same starting
// weights, with as many updates on the task. A cell is one preset, one task and one seed.
//   npm run bench:quality -- --base DIR --preset kd,pkd-skip --seed 1,2,3 [--task sst2] [--rows 0: all] [--text-steps 1000]
//   npm run bench:quality                                                    prints the tables of what has been run
// What a cell needs is made first and kept in --work (bench/work): the teacher, fine-tuned from the base with seed 1 (bit for bit the same
// everywhere, and named by SHA-256); the student of a preset that has stages on plain text, once, as its paper publishes one. Every finished
// cell is a line of bench/results/quality.jsonl and is not run again, so a run may be stopped and resumed. Nothing is chosen by the evaluation:
// the student after its last step is judged, on development and test set together.

import { appendFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { readDataset } from "../src/data/dataset.ts";
import type { Example, Examples } from "../src/data/examples.ts";
import { serializeSafetensors } from "../src/formats/safetensors.ts";
import {
  type Classifier,
  type DistillOptions,
  distill,
  finetune,
  loadModel,
  type Model,
  pretrain,
  type Recipe,
  type Run,
  recipes,
  VERSION,
} from "../src/index.ts";
import { Random } from "../src/random.ts";
import { node } from "../src/runtimes/node.ts";
import { sha256 } from "../src/sha256.ts";
import { distillSetup } from "../src/train/distill.ts";
import { parameterCount } from "../src/train/model.ts";
import { median, table } from "./common.ts";

interface Task {
  readonly train: string;
  /** What students are judged on. */
  readonly heldOut: readonly string[];
  /** Of the usual cell; 0: all. */
  readonly rows: number;
  readonly teacher: Partial<DistillOptions>;
}

const TASKS: Readonly<Record<string, Task>> = {
  sst2: {
    ...{ train: "sst2/train.tsv", heldOut: ["sst2/dev.tsv", "sst2/test.tsv"], rows: 10_000 },
    teacher: { epochs: 1, learningRate: 8e-5, warmupRatio: 0.06 },
  },
  mrpc: {
    ...{ train: "mrpc/msr_paraphrase_train.txt", heldOut: ["mrpc/msr_paraphrase_test.txt"], rows: 0 },
    teacher: { epochs: 3, learningRate: 5e-5 },
  },
};

interface Preset {
  readonly student: string;
  readonly recipe: string;
  /** Of the recipe's own numbers, what a cell of this size changes. */
  readonly options: Training;
  /** An IB-BERT that was distilled from the usual teacher comes in its place. */
  readonly teacher?: "ib";
  /** Stages on plain text, in a run of their own, and who teaches them: the base, the base with a masked-LM head, or the task's teacher. */
  readonly text?: {
    readonly teacher: "base" | "masked-lm" | "task";
    readonly options?: Training;
    readonly without?: string;
  };
  /** Epochs of the same rows on labels alone that are as many updates; those of `options` unless given. */
  readonly updates?: number;
}

const [CUT, FRESH] = ["layers:3", "bert:3x192x12"];
const usual = { epochs: 3, batchSize: 32, learningRate: 2e-4 };
const fresh = { epochs: 3, batchSize: 32, learningRate: 5e-4 };
/** Between blocks as wide as their teacher, a quarter or an eighth as wide inside. */
const [IB, THIN] = ["ibbert:6x256x512x8x1024", { student: "mobilebert:6x256x64x8", teacher: "ib" }] as const;
/** LAMB moves a tensor by so much of its norm in a step: it needs the recipe's own rate. */
const TRANSFER = { teacher: "task", without: "masked", options: { learningRate: 3e-2 } } as const;
/** A million tokens: 1,000 updates of 16 pieces of 64. */
const MILLION = { epochs: 0, batchSize: 16, maxLength: 64, learningRate: 5e-4, seed: 1 };

function intermediate(epochs: number): DistillOptions["stages"] {
  return { intermediate: { epochs, batchSize: 32, learningRate: 5e-4, lrSchedulerType: "linear", warmupRatio: 0.1 } };
}

const PRESETS: Readonly<Record<string, Preset>> = {
  kd: { student: CUT, recipe: "kd", options: usual },
  "pkd-skip": { student: CUT, recipe: "pkd-skip", options: usual },
  "pkd-last": { student: CUT, recipe: "pkd-last", options: usual },
  bilstm: { student: "bilstm:150", recipe: "bilstm", options: { epochs: 3, batchSize: 32, nIter: 3 }, updates: 9 },
  distilbert: {
    ...{ student: "distilbert:layers:3", recipe: "distilbert", options: usual },
    text: { teacher: "masked-lm", options: { restrictCeToMask: true, mlmSmoothing: 0 } },
  },
  "kd-fresh": { student: FRESH, recipe: "kd", options: fresh },
  "kd-sliced": { student: "slice:3x192", recipe: "kd", options: fresh },
  minilm: {
    ...{ student: FRESH, recipe: "minilm", options: fresh },
    text: { teacher: "base" },
  },
  "minilm-v2": {
    ...{ student: FRESH, recipe: "minilm-v2", options: fresh },
    text: { teacher: "base" },
  },
  assistant: {
    ...{ student: FRESH, recipe: "assistant", options: fresh },
    text: { teacher: "base" },
  },
  tinybert: {
    ...{ student: FRESH, recipe: "tinybert", options: { ...fresh, nIter: 0, stages: intermediate(6) }, updates: 9 },
    text: { teacher: "base" },
  },
  "tinybert-task": {
    ...{ student: FRESH, recipe: "tinybert", options: { ...fresh, nIter: 0, stages: intermediate(6) }, updates: 9 },
  },
  mobilebert: { ...THIN, recipe: "mobilebert", options: fresh, text: TRANSFER },
  "mobilebert-joint": { ...THIN, recipe: "mobilebert-joint", options: fresh, text: TRANSFER },
  "mobilebert-auxiliary": { ...THIN, recipe: "mobilebert-auxiliary", options: { epochs: 3, batchSize: 32 } },
};

const { values: options } = parseArgs({
  options: {
    ...{ base: { type: "string" }, preset: { type: "string" }, task: { type: "string", default: "sst2" } },
    ...{ seed: { type: "string", default: "1" }, rows: { type: "string" }, threads: { type: "string", default: "2" } },
    "text-steps": { type: "string", default: "1000" },
    data: { type: "string", default: "../shared/data" },
    work: { type: "string", default: fileURLToPath(new URL("../../bench/work", import.meta.url)) },
    results: { type: "string", default: fileURLToPath(new URL("../../bench/results/quality.jsonl", import.meta.url)) },
  },
});

/** A training on the task: options of a run. */
type Training = Partial<DistillOptions>;

/** Everything that decides how a student comes out; two lines with equal settings are the same. */
interface Settings {
  /** "hard": on labels alone, whichever preset it is the baseline of. */
  readonly preset: string;
  readonly recipe: string;
  readonly training: Training;
  readonly task: string;
  readonly student: string;
  readonly rows: number;
  readonly seed: number;
  /** SHA-256 of the training rows, and of the weights of the teacher and of what training on the task begins with. */
  readonly data: string;
  readonly teacher: string;
  readonly start: string;
}

interface Judgement {
  /** Right answers on each of the held-out files, row by row: "1" or "0", packed four to a hexadecimal digit. */
  readonly right: readonly string[];
  readonly rows: readonly number[];
  readonly accuracy: readonly number[];
  readonly parameters: number;
  /** Of model.safetensors. */
  readonly bytes: number;
  readonly version: string;
}

interface Student extends Judgement {
  readonly kind: "student";
  readonly settings: Settings;
  /** Share of the held-out rows on which student and teacher say the same, and mean KL(teacher ‖ student) there. */
  readonly agreement: number;
  readonly kl: number;
  /** Milliseconds of a sentence at batch 1, tokens included; the teacher's beside it, taken in turns. */
  readonly milliseconds: number;
  readonly teacherMilliseconds: number;
  /** Of training on the task. */
  readonly seconds: number;
  /** SHA-256 of model.safetensors. */
  readonly weights: string;
}

interface Teacher extends Judgement {
  readonly kind: "teacher";
  readonly task: string;
  readonly teacher: string;
}

/** Of a run on plain text: perplexity of masked tokens or the stage's own loss on held-out text, before and after each stage. */
interface Text {
  readonly kind: "text";
  readonly preset: string;
  readonly weights: string;
  readonly stages: Readonly<Record<string, { readonly before: Measure; readonly after: Measure }>>;
  readonly version: string;
}

interface Measure {
  readonly perplexity?: number;
  readonly loss?: number;
}

type Line = Student | Teacher | Text;

const task = TASKS[options.task];
if (!task) throw new Error(`there is no task "${options.task}"; there are ${Object.keys(TASKS).join(", ")}`);
const base = () => {
  if (options.base === undefined) throw new Error("name the folder of all-MiniLM-L6-v2 by --base DIR");
  return options.base;
};
const device = { device: "wasm", threads: Number(options.threads) } as const;
const stop = new AbortController();
process.once("SIGINT", () => {
  console.error("stopping after this step; press Ctrl-C again to end at once");
  process.exitCode = 130;
  stop.abort();
});

async function readResults(): Promise<Line[]> {
  const text = await readFile(options.results, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
}

const write = (line: Line) => appendFile(options.results, `${JSON.stringify(line)}\n`);
const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
const weightsOf = async (folder: string) => sha256(await readFile(`${folder}/model.safetensors`));

/** The first `rows` of one shuffled order of the training file, the same for every cell; 0: all rows as they are. */
async function trainingRows(rows: number): Promise<{ name: string; bytes: Uint8Array; count: number }> {
  const lines = (await readFile(`${options.data}/${task.train}`, "utf8")).split("\n");
  if (lines.at(-1) === "") lines.pop();
  const header = lines.splice(0, 1);
  const order = new Random(0, `bench/quality/${options.task}`).shuffle(lines.map((_, i) => i));
  const chosen = rows > 0 && rows < lines.length ? order.slice(0, rows).map((i) => lines[i]) : lines;
  return {
    name: task.train,
    bytes: new TextEncoder().encode(`${[...header, ...chosen].join("\n")}\n`),
    count: chosen.length,
  };
}

async function finish(name: string, run: Run) {
  for await (const event of run) {
    if (event.type === "note") console.error(`${name}: ${event.text}`);
    else if (event.type === "step")
      console.error(
        `${name}: step ${event.step} of ${event.steps}, loss ${event.loss.toFixed(4)}, ` +
          `${event.tokensPerSecond.toFixed(0)} tokens/s, ${event.secondsLeft.toFixed(0)} s left`,
      );
    else if (event.type === "evaluation") {
      const { stage = "", step, metrics } = event;
      console.error(`${name}: ${stage} after ${step} steps: ${JSON.stringify(metrics)}`);
    }
  }
  const result = await run.result;
  if (!result.complete) process.exit();
  return result;
}

const common = { ...device, loggingSteps: 100, evalSteps: 1e9, signal: stop.signal };

/** A folder that is made once; where its run was stopped, it goes on. */
async function made(
  name: string,
  make: (kept: { out: string; resume: true; saveSteps: number }) => Promise<unknown>,
): Promise<string> {
  const out = `${options.work}/${name}`;
  const record = await readFile(`${out}/limbeck.json`, "utf8").catch(() => "{}");
  await mkdir(options.work, { recursive: true });
  if (JSON.parse(record).complete !== true) await make({ out, resume: true, saveSteps: 200 });
  return out;
}

const taskTeacher = () =>
  made(`teacher-${options.task}`, async (kept) => {
    const own = { ...task.teacher, batchSize: 32, seed: 1, model: base(), train: await trainingRows(0), ...kept };
    return finish("teacher", finetune({ ...common, ...own }));
  });

/**
 * On all rows of the task it learns from the usual teacher, all at once: embeddings, every layer, the last one's relations, soft labels;
 * then once more from where that ended, at half the rate.
 */
async function ibTeacher(): Promise<string> {
  const [teacher, train] = [await taskTeacher(), await trainingRows(0)];
  const { embedding, hidden } = recipes.tinybert.stages.intermediate.terms;
  const { kd } = recipes;
  const terms = { embedding, hidden, ...recipes["minilm-v2"].stages.relations.terms, ...kd.stages.task.terms };
  const recipe: Recipe = { ...kd, name: "ib", stages: { task: { terms } } };
  const own = { epochs: 1, batchSize: 32, warmupRatio: 0.1, seed: 1, recipe, relationHeads: 32, teacher, train };
  const first = await made(`layers-ib-${options.task}`, (kept) =>
    finish("IB-BERT", distill({ ...common, ...own, student: IB, learningRate: 5e-4, ...kept })),
  );
  return made(`teacher-ib-${options.task}`, (kept) =>
    finish("IB-BERT, again", distill({ ...common, ...own, student: first, learningRate: 2.5e-4, ...kept })),
  );
}

/** A million tokens of IMDB, if nothing else is asked for. */
const onText = () => ({
  ...MILLION,
  maxSteps: Number(options["text-steps"]),
  text: `${options.data}/imdb/unlabelled.jsonl`,
});

/** The base with a masked-LM head, both trained, on a third of the text that students see. */
const maskedLm = () => {
  const maxSteps = Math.ceil(Number(options["text-steps"]) / 3);
  return made(`masked-lm-${maxSteps}`, async (kept) => {
    const own = { ...onText(), maxSteps, learningRate: 3e-4, mlmSmoothing: 0, model: base(), trainBody: true, ...kept };
    return finish("masked-lm", pretrain({ ...common, ...own, evalText: await wikitext() }));
  }).then((folder) => writeText("masked-lm", folder));
};

/** What a run on plain text says of held-out text before and after each of its stages. */
async function writeText(name: string, folder: string): Promise<string> {
  const weights = await weightsOf(folder);
  if ((await readResults()).some((line) => line.kind === "text" && line.weights === weights)) return folder;
  const stages: Record<string, Text["stages"][string]> = {};
  for (const line of (await readFile(`${folder}/metrics.jsonl`, "utf8")).trim().split("\n")) {
    const { type, stage = "text", metrics = {} } = JSON.parse(line);
    const { perplexity, loss } = metrics;
    if (type !== "evaluation") continue;
    const found = perplexity === undefined ? { loss } : { perplexity };
    stages[stage] = { before: stages[stage]?.before ?? found, after: found };
  }
  if (Object.keys(stages).length > 0) await write({ kind: "text", preset: name, weights, stages, version: VERSION });
  return folder;
}

/** What stages on plain text are judged by: the first 200 lines of WikiText-2's test set. */
async function wikitext(): Promise<{ name: string; bytes: Uint8Array }> {
  const name = "wikitext2/test.txt";
  const lines = (await readFile(`${options.data}/${name}`, "utf8")).split("\n").filter((line) => line.trim() !== "");
  return { name, bytes: new TextEncoder().encode(lines.slice(0, 200).join("\n")) };
}

/** The student before any training, the same for every seed. */
async function startOf({ student }: Preset, teacher: string, train: DistillOptions["train"]): Promise<Model> {
  const cut = /(^|:)(layers|slice):/.test(student) ? { initFrom: base() } : {};
  return (await distillSetup(node, { teacher, student, ...cut, train, recipe: "hard", seed: 1 })).student;
}

/** The stages of a recipe on plain text, or those on the task. */
function part(name: string, text: boolean, without?: string): Recipe {
  const { assistants, ...recipe } = recipes[name];
  const stages = Object.entries(recipe.stages).filter(
    ([stage, { data }]) => (data === "text") === text && stage !== without,
  );
  return { ...recipe, ...(text && assistants ? { assistants } : {}), stages: Object.fromEntries(stages) };
}

/** The student after the preset's stages on plain text. */
async function afterText(
  name: string,
  { recipe, text }: Preset,
  student: Model,
  { teacher, train }: Pick<DistillOptions, "teacher" | "train">,
): Promise<Model | string> {
  if (!text) return student;
  const teachers = {
    base: async () => ({ teacher, train, textTeacher: base() }),
    task: async () => ({ teacher, train }),
    "masked-lm": async () => ({ teacher: await maskedLm() }),
  };
  const chosen = { student, recipe: part(recipe, true, text.without) };
  const own = {
    ...onText(),
    ...text.options,
    ...(await teachers[text.teacher]()),
    ...chosen,
    evalText: await wikitext(),
  };
  const folder = ["text", name, options["text-steps"], ...(text.teacher === "task" ? [options.task] : [])].join("-");
  const out = await made(folder, (kept) => finish(`${name} on plain text`, distill({ ...common, ...own, ...kept })));
  return writeText(name, out);
}

interface HeldOut {
  readonly name: string;
  readonly examples: Examples;
}

const heldOut: HeldOut[] = [];
async function readHeldOut(label2id: Readonly<Record<string, number>>): Promise<void> {
  for (const name of task.heldOut) {
    const { examples } = await readDataset(new Uint8Array(await readFile(`${options.data}/${name}`)), name, {
      label2id,
    });
    heldOut.push({ name, examples });
  }
}

const textOf = ({ text, pair }: Example) => (pair === undefined ? text : ([text, pair] as const));

/** Probabilities of every class, [rows][C], of each of the held-out files. */
async function probabilitiesOf(model: Classifier): Promise<number[][][]> {
  const all: number[][][] = [];
  for (const { examples } of heldOut)
    all.push((await model.predict(examples.map(textOf))).map(({ probabilities = {} }) => Object.values(probabilities)));
  return all;
}

const best = (row: readonly number[]) => row.indexOf(Math.max(...row));

function pack(right: readonly boolean[]): string {
  const digits = Array.from({ length: Math.ceil(right.length / 4) }, (_, i) =>
    [0, 1, 2, 3].reduce((sum, bit) => sum + (right[4 * i + bit] ? 1 << bit : 0), 0).toString(16),
  );
  return digits.join("");
}

const unpack = (packed: string, count: number): boolean[] =>
  Array.from({ length: count }, (_, i) => ((Number.parseInt(packed[i >> 2], 16) >> (i & 3)) & 1) === 1);

function judgement(model: Model, bytes: number, probabilities: readonly number[][][]): Judgement {
  const right = heldOut.map(({ examples }, f) => examples.map(({ label }, i) => best(probabilities[f][i]) === label));
  const share = (all: readonly boolean[]) => all.filter((x) => x).length / all.length;
  const parameters = parameterCount(model.config);
  const rows = right.map(({ length }) => length);
  return { right: right.map(pack), rows, accuracy: right.map(share), parameters, bytes, version: VERSION };
}

/** Milliseconds of a sentence: each in turn, the best of three, the median over forty rows. */
async function latencies(models: readonly Classifier[]): Promise<number[]> {
  const rows = heldOut.flatMap(({ examples }) => [...examples]);
  const times = models.map((): number[] => []);
  for (let i = 0; i < 40; i++) {
    const row = [textOf(rows[Math.floor((i * rows.length) / 40)])];
    for (const [m, model] of models.entries()) {
      const tries: number[] = [];
      for (let turn = 0; turn < 4; turn++) {
        const began = performance.now();
        await model.predict(row);
        tries.push(performance.now() - began);
      }
      times[m].push(Math.min(...tries.slice(1)));
    }
  }
  return times.map(median);
}

/** Of a teacher, once: kept beside it. */
async function teacherProbabilities(teacher: Classifier, folder: string, hash: string): Promise<number[][][]> {
  const kept = `${folder}/heldOut.json`;
  if (!(await exists(kept))) await writeFile(kept, JSON.stringify(await probabilitiesOf(teacher)));
  const found: number[][][] = JSON.parse(await readFile(kept, "utf8"));
  const known = (line: Line) => line.kind === "teacher" && line.teacher === hash;
  if ((await readResults()).some(known)) return found;
  const { size } = await stat(`${folder}/model.safetensors`);
  await write({ kind: "teacher", task: options.task, teacher: hash, ...judgement(teacher.model, size, found) });
  return found;
}

/** The training of a preset on the task, and of the same student on labels alone: as many updates, by the same optimiser. */
function trainings({ recipe, options: own, updates }: Preset): { readonly own: Training; readonly labels: Training } {
  const { optimizer, learningRate, lrSchedulerType, warmupRatio, adamBeta2, weightDecay, maxGradNorm } = {
    ...Object.values(recipes[recipe].stages).at(-1)?.training,
    ...own,
  };
  const numbers = { optimizer, learningRate, lrSchedulerType, warmupRatio, adamBeta2, weightDecay, maxGradNorm };
  return { own, labels: { ...numbers, batchSize: own.batchSize, epochs: updates ?? own.epochs } };
}
/** A cell's two students: on labels alone, and by the preset. */
async function runCell(name: string, seed: number): Promise<void> {
  const preset = PRESETS[name];
  if (!preset) throw new Error(`there is no preset "${name}"; there are ${Object.keys(PRESETS).join(", ")}`);
  const train = await trainingRows(Number(options.rows ?? task.rows));
  const folder = await (preset.teacher === "ib" ? ibTeacher() : taskTeacher());
  const teacher = await weightsOf(folder);
  using taught = await loadModel(folder, device);
  if (heldOut.length === 0) await readHeldOut(taught.model.config.label2id ?? {});
  const wanted = await teacherProbabilities(taught, folder, teacher);
  const start = await startOf(preset, folder, train);
  const { own, labels } = trainings(preset);
  const cell = {
    task: options.task,
    student: preset.student,
    rows: train.count,
    seed,
    data: await sha256(train.bytes),
    teacher,
  };

  const student = async (recipe: string, training: Training, from: Model | string): Promise<void> => {
    const begins = typeof from === "string" ? await weightsOf(from) : await sha256(serializeSafetensors(from.weights));
    const settings: Settings = { preset: recipe === "hard" ? "hard" : name, recipe, training, ...cell, start: begins };
    const known = (line: Line) => line.kind === "student" && isDeepStrictEqual(line.settings, plain(settings));
    if ((await readResults()).some(known)) return;
    const title = `${options.task}, ${name}: ${recipe}, seed ${seed}`;
    const cache = { cache: `${options.work}/cache`, cachePrecision: "f32" as const, cacheSize: 10_000 };
    const data = { teacher: folder, train, student: from, recipe: part(recipe, false), seed };
    const result = await finish(
      title,
      distill({ ...common, ...training, ...data, ...(recipe === "hard" ? {} : cache) }),
    );
    using model = await loadModel(result.model, device);
    const found = await probabilitiesOf(model);
    const bytes = serializeSafetensors(result.model.weights);
    const [milliseconds, teacherMilliseconds] = await latencies([model, taught]);
    const pairs = found.flatMap((rows, f) => rows.map((row, i) => [wanted[f][i], row] as const));
    const kl = pairs.map(([p, q]) => p.reduce((sum, x, c) => sum + x * Math.log(x / Math.max(q[c], 1e-30)), 0));
    await write({
      ...{ kind: "student", settings },
      ...judgement(result.model, bytes.length, found),
      agreement: pairs.filter(([p, q]) => best(p) === best(q)).length / pairs.length,
      kl: kl.reduce((a, b) => a + b, 0) / kl.length,
      ...{ milliseconds, teacherMilliseconds, seconds: Math.round(result.seconds), weights: await sha256(bytes) },
    });
  };
  await student("hard", labels, start);
  await student(preset.recipe, own, await afterText(name, preset, start, { teacher: folder, train }));
}

/** As JSON gives it back: without what is undefined. */
const plain = (settings: Settings | Training): unknown => JSON.parse(JSON.stringify(settings));

const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length;
const deviation = (x: readonly number[]) =>
  Math.sqrt(x.reduce((sum, v) => sum + (v - mean(x)) ** 2, 0) / (x.length - 1));
const spread = (x: readonly number[], digits = 1) =>
  mean(x).toFixed(digits) + (x.length > 1 ? ` ± ${deviation(x).toFixed(digits)}` : "");

/**
 * The mean of paired differences [seeds][rows], and where it lies with 95 % of probability: seeds and rows drawn anew with replacement,
 * 10,000 times, the 2.5 and 97.5 percentiles of the means.
 */
function paired(differences: readonly (readonly number[])[]): { mean: number; low: number; high: number } {
  const [S, N] = [differences.length, differences[0].length];
  const random = new Random(0, "bench/quality/bootstrap");
  const means = Array.from({ length: 10_000 }, () => {
    const seeds = Array.from({ length: S }, () => differences[random.below(S)]);
    let sum = 0;
    for (let i = 0; i < N; i++) {
      const row = random.below(N);
      for (const seed of seeds) sum += seed[row];
    }
    return sum / (S * N);
  }).sort((a, b) => a - b);
  return { mean: mean(differences.map(mean)), low: means[250], high: means[9749] };
}

const rightOf = ({ right, rows }: Judgement) => right.flatMap((bits, f) => unpack(bits, rows[f]));
const accuracy = (judged: Judgement) => 100 * mean(rightOf(judged).map(Number));

function groupBy<T>(items: readonly T[], key: (item: T) => unknown): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = JSON.stringify(key(item));
    groups.set(name, [...(groups.get(name) ?? []), item]);
  }
  return [...groups.values()];
}

function printTables(lines: readonly Line[]): void {
  const students = lines.filter((line) => line.kind === "student");
  for (const group of groupBy(students, ({ settings: { task, rows, teacher } }) => [task, rows, teacher])) {
    if (group.every(({ settings: { preset } }) => preset === "hard")) continue;
    const { task: name, rows, teacher } = group[0].settings;
    const teachers = lines.filter((line) => line.kind === "teacher");
    const taught = teachers.find((line) => line.task === name && line.teacher === teacher);
    const where = `${TASKS[name].heldOut.join(" and ")} together (${taught?.rows.join(" and ")} rows)`;
    console.log(
      `\n${name}: ${rows} training rows, accuracy × 100 on ${where}; teacher ${taught && accuracy(taught).toFixed(1)}\n`,
    );
    const presets = groupBy(
      group.filter(({ settings: { preset } }) => preset in PRESETS),
      ({ settings: { seed, start, ...rest } }) => rest,
    );
    const body = presets.flatMap((cells) => {
      const pairs = cells.flatMap((cell) => {
        const { preset, recipe, training, start, ...shared } = cell.settings;
        const labels = plain(trainings(PRESETS[preset]).labels);
        const other = group.find(({ settings: { preset: name, recipe, training, start, ...rest } }) => {
          return name === "hard" && isDeepStrictEqual([rest, training], [shared, labels]);
        });
        return other ? [[cell, other] as const] : [];
      });
      if (pairs.length === 0) return [];
      const difference = paired(
        pairs.map(([cell, other]) => {
          const without = rightOf(other);
          return rightOf(cell).map((right, i) => Number(right) - Number(without[i]));
        }),
      );
      const of = pairs.map(([cell]) => cell);
      const points = (x: number) => `${x < 0 ? "−" : "+"}${Math.abs(100 * x).toFixed(1)}`;
      return [
        [
          of[0].settings.preset,
          of[0].settings.student,
          of.map(({ settings }) => settings.seed).join(", "),
          `${(of[0].parameters / 1e6).toFixed(1)} M`,
          `${(of[0].bytes / 1e6).toFixed(1)} MB`,
          spread(of.map(({ milliseconds, teacherMilliseconds }) => teacherMilliseconds / milliseconds)),
          spread(pairs.map(([, other]) => accuracy(other))),
          spread(of.map(accuracy)),
          `${points(difference.mean)} (${points(difference.low)} … ${points(difference.high)})`,
          spread(of.map(({ agreement }) => 100 * agreement)),
          spread(
            of.map(({ kl }) => kl),
            3,
          ),
        ],
      ];
    });
    const head = ["preset", "student", "seeds", "parameters", "size", "× faster, batch 1", "labels alone", "preset"];
    console.log(table([...head, "difference (95 %)", "agreement", "KL"], body));
  }
  const texts = lines.filter((line) => line.kind === "text");
  const told = ({ perplexity, loss = Number.NaN }: Measure) => perplexity?.toFixed(0) ?? loss.toPrecision(3);
  const rows = texts.flatMap(({ preset, stages }) =>
    Object.entries(stages).map(([stage, { before, after }]) => {
      const what = before.perplexity === undefined ? "loss" : "perplexity";
      return [preset, stage, what, told(before), told(after)];
    }),
  );
  if (rows.length > 0) console.log(table(["on plain text", "stage", "of held-out text", "before", "after"], rows));
}

if (options.preset !== undefined)
  for (const seed of options.seed.split(","))
    for (const name of options.preset.split(",")) await runCell(name, Number(seed));
printTables(await readResults());
