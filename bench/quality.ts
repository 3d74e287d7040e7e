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
import { median } from "./common.ts";
import { type Judgement, type Line, pack, plain, type Settings, type Text } from "./quality/lines.ts";
import { IB, MILLION, PRESETS, type Preset, part, TASKS, type Training, trainings } from "./quality/presets.ts";
import { printTables } from "./quality/tables.ts";

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

if (options.preset !== undefined)
  for (const seed of options.seed.split(","))
    for (const name of options.preset.split(",")) await runCell(name, Number(seed));
printTables(await readResults());
