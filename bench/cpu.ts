// limbeck on the CPU beside its peers: one table of what was aimed at and what was reached. Every contender is a process of its own (so each
// engine can be one), all of a row take turns, and a ratio is the median over rounds of their ratio in each round.
//   npm run bench -- cpu [--rounds 7] [--only product,step] [--engines node-20,node-24,…] [--torch PYTHON] [--teacher DIR]
// A peer that cannot do a row says so with its error. PyTorch runs where --torch names a Python that has it (with transformers), a whole
// distillation where --teacher names a BERT of six layers that was fine-tuned on SST-2; else their rows are left out by name. The whole table
// is saved as bench/results/cpu.json.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { serializeSafetensors } from "../src/formats/safetensors.ts";
import { bertConfig, machine, median, randomWeights, table } from "./common.ts";
import type { Work } from "./contenders/work.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    only: { type: "string" },
    engines: { type: "string" },
    torch: { type: "string" },
    teacher: { type: "string" },
    data: { type: "string", default: "../shared/data" },
    /** Of the whole distillation. */
    "distill-rows": { type: "string", default: "3000" },
    results: { type: "string" },
  },
});
const rounds = Number(options.rounds);
/** Milliseconds that one turn of a contender takes at least, warm-up included. */
const LEAST_MS = 150;

const bench = fileURLToPath(new URL("../../bench/", import.meta.url));
const installed = `${bench}node_modules/`;
const major = process.versions.node.split(".")[0];
const ENGINES: Readonly<Record<string, readonly string[]>> = {
  [`node-${major}`]: [process.execPath],
  "node-24": [`${installed}node-24/bin/node`],
  "node-26": [`${installed}node-26/bin/node`],
  deno: [`${installed}.bin/deno`, "run", "-A", "--no-check"],
  bun: [`${installed}.bin/bun`, "run"],
};
const here = `node-${major}`;
const engines = (options.engines?.split(",") ?? Object.keys(ENGINES)).filter((name) => existsSync(ENGINES[name]?.[0]));

const command = fileURLToPath(new URL("../cli.js", import.meta.url));
const scratch = await mkdtemp(join(tmpdir(), "limbeck-bench-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
const ours = fileURLToPath(new URL("limbeck.js", import.meta.url));
await build({
  entryPoints: [`${bench}contenders/limbeck.ts`],
  outfile: ours,
  ...{ bundle: true, format: "esm", platform: "node", target: "es2022", logLevel: "error", external: ["webgpu"] },
});

type Peer = "tfjs-wasm" | "onnxruntime-web" | "jax-js" | "PyTorch";
const PEERS: Readonly<Record<Peer, (work: string) => readonly string[]>> = {
  "tfjs-wasm": (work) => [process.execPath, `${bench}contenders/tfjs.mjs`, work],
  "onnxruntime-web": (work) => [process.execPath, `${bench}contenders/onnxruntime.mjs`, work],
  "jax-js": (work) => [...ENGINES.deno, `${bench}contenders/jax.mjs`, work],
  PyTorch: (work) => [options.torch ?? "", `${bench}contenders/pytorch.py`, work],
};

interface Said {
  /** Multiplications and additions of a turn, and a second's at most; bytes that it reads and writes. */
  readonly flops?: number;
  readonly bytes?: number;
  readonly limit?: number;
  readonly note?: string;
}

class Contender {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #complaint = "";
  said: Said = {};

  private constructor(command: readonly string[]) {
    this.#child = spawn(command[0], command.slice(1), { cwd: bench, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.once("error", (error) => {
      this.#complaint += error.message;
    });
    this.#child.stderr?.on("data", (data) => {
      this.#complaint += data;
    });
    this.#lines = createInterface(this.#child.stdout as NodeJS.ReadableStream)[Symbol.asyncIterator]();
  }

  static async start(command: readonly string[]): Promise<Contender> {
    const contender = new Contender(command);
    contender.said = await contender.#line();
    return contender;
  }

  async #line(): Promise<Said & { milliseconds: number[] }> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(reason(this.#complaint) || "it ended");
      // Libraries may print too.
      if (value.startsWith("{")) return JSON.parse(value);
    }
  }

  /** Milliseconds of one turn: the mean of `count`. */
  async turns(count: number): Promise<number> {
    const milliseconds = await this.each(count);
    return milliseconds.reduce((a, b) => a + b, 0) / milliseconds.length;
  }

  async each(count: number): Promise<number[]> {
    this.#child.stdin?.write(`${count}\n`);
    return (await this.#line()).milliseconds;
  }

  close(): void {
    this.#child.kill();
  }
}

/** Milliseconds of a process from its start to its end. */
function wholeRun(command: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(command[0], command.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (data) => {
      complaint += data;
    });
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(performance.now() - began);
      else reject(new Error(reason(complaint) || `it ended with ${code}`));
    });
  });
}

/** The line of a complaint that says what was wrong, not one of the source that it quotes. */
const reason = (complaint: string) =>
  (/^(?:Uncaught )?\w*Error\b.*$/m.exec(complaint)?.[0] ?? complaint.trim().split("\n").at(-1) ?? "")
    .trim()
    .slice(0, 160);

interface Row {
  readonly work: string;
  readonly ours: Work;
  /** What it is measured against: a peer, or ourselves at other work. */
  readonly peer: Peer | { readonly name: string; readonly work: Work };
  readonly target: number;
  /** With fast numerics, where an engine has them. */
  readonly fast?: number;
}

const bert = (layers: number, width: number, heads: number, inner: number, dropout = 0) =>
  ({ kind: "bert", layers, width, heads, inner, vocabulary: 30522, dropout }) as const;
const [FOUR, FOUR_DROPOUT] = [0, 0.1].map((dropout) => bert(4, 312, 12, 1200, dropout));
const LSTM = { kind: "bilstm", embedding: 384, hidden: 150, classifier: 200, vocabulary: 30522 } as const;

function product(M: number, N: number, K: number, threads: number, more: object = {}): Work {
  return { what: "product", threads, product: { M, N, K, ...more } };
}
const SHAPES = [
  [1024, 768, 768],
  [1024, 3072, 768],
  [1024, 768, 3072],
  [1024, 1200, 312],
  [1024, 312, 1200],
  [512, 512, 128],
  [448, 384, 384],
] as const;
const sized = (sequences: number, length: number) => ({ sequences, length });

const ROWS: readonly Row[] = [
  ...SHAPES.flatMap(([M, N, K]): Row[] => {
    const [one, name] = [product(M, N, K, 1), `product ${M}·${N}·${K}, 1 thread`];
    return [
      { work: name, ours: one, peer: "tfjs-wasm", target: 1.25, fast: 1.5 },
      { work: name, ours: one, peer: "onnxruntime-web", target: 1.3 },
    ];
  }),
  ...(["transposeB", "transposeA"] as const).map((turned): Row => {
    const work = product(1024, 768, 768, 1, { [turned]: true });
    return { work: `product 1024·768·768, ${turned}, 1 thread`, ours: work, peer: "tfjs-wasm", target: 1.25 };
  }),
  ...SHAPES.slice(0, 5).map(([M, N, K]): Row => {
    const other = { name: "limbeck, 1 thread", work: product(M, N, K, 1) };
    return { work: `product ${M}·${N}·${K}, 2 threads`, ours: product(M, N, K, 2), peer: other, target: 1.85 };
  }),
  {
    work: "step 4×312, 16 × 64 tokens, AdamW, dropout, 2 threads",
    ours: { what: "step", threads: 2, model: FOUR_DROPOUT, ...sized(16, 64) },
    peer: { name: "limbeck, 1 thread", work: { what: "step", threads: 1, model: FOUR_DROPOUT, ...sized(16, 64) } },
    target: 1.7,
  },
  {
    work: "forward + gradients 4×312, 16 × 64 tokens, 2 threads",
    ours: { what: "gradients", threads: 2, model: FOUR, ...sized(16, 64) },
    ...{ peer: "jax-js", target: 3 },
  },
  {
    work: "forward + gradients 4×312, 16 × 64 tokens, 2 threads",
    ours: { what: "gradients", threads: 2, model: FOUR, ...sized(16, 64) },
    ...{ peer: "tfjs-wasm", target: 18 },
  },
  {
    work: "step 4×312, 16 × 64 tokens, AdamW, dropout, 2 threads",
    ours: { what: "step", threads: 2, model: FOUR_DROPOUT, ...sized(16, 64) },
    ...{ peer: "PyTorch", target: 0.55, fast: 0.7 },
  },
  {
    work: "step 2×128, 8 × 32 tokens, AdamW, dropout, 2 threads",
    ours: { what: "step", threads: 2, model: bert(2, 128, 2, 512, 0.1), ...sized(8, 32) },
    ...{ peer: "PyTorch", target: 1.5 },
  },
  ...([1, 32] as const).map((batch): Row => {
    const ours: Work = { what: "predict", threads: 2, model: LSTM, ...sized(batch, 16) };
    return { work: `BiLSTM prediction, ${batch} × 16 tokens`, ours, peer: "PyTorch", target: batch === 1 ? 1.2 : 0.5 };
  }),
  {
    work: "BiLSTM step, 32 × 16 tokens, AdaDelta",
    ours: { what: "step", threads: 2, model: LSTM, ...sized(32, 16), optimizer: "adadelta" },
    ...{ peer: "PyTorch", target: 1 },
  },
  ...([16, 32, 128] as const).map((length): Row => {
    const ours: Work = { what: "predict", threads: 2, model: bert(6, 384, 12, 1536), ...sized(1, length) };
    return { work: `6×384, a sentence of ${length} tokens`, ours, peer: "onnxruntime-web", target: 1.2 };
  }),
];

interface Outcome {
  readonly work: string;
  readonly engine: string;
  /** Milliseconds of a turn, the median over rounds. */
  readonly ours?: number;
  readonly peer?: number;
  readonly against?: string;
  readonly ratio?: number;
  readonly target?: number;
  readonly met?: boolean;
  /** Of what this engine's registers can do on as many threads. */
  readonly fraction?: number;
  readonly error?: string;
}

const skipped: string[] = [];
/** Has relaxed SIMD. */
const FAST = "node-24";

/** All contenders of a row take turns. [contenders][rounds], milliseconds. */
async function race(contenders: readonly Contender[]): Promise<number[][]> {
  const counts: number[] = [];
  for (const contender of contenders) {
    await contender.turns(2);
    counts.push(Math.max(1, Math.ceil(LEAST_MS / (await contender.turns(1)))));
  }
  const times = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, contender] of contenders.entries()) times[i].push(await contender.turns(counts[i]));
  return times;
}

const limbeck = (engine: string, work: Work) => [...ENGINES[engine], ours, JSON.stringify(work)];

/** Two contenders beside each other. */
async function compare(mine: readonly string[], other: readonly string[]): Promise<Partial<Outcome>> {
  const open: Contender[] = [];
  try {
    for (const command of [mine, other]) open.push(await Contender.start(command));
    const [ours, theirs] = await race(open);
    const ratio = median(ours.map((ms, i) => theirs[i] / ms));
    const { flops, limit } = open[0].said;
    const fraction = flops && limit ? (1000 * flops) / median(ours) / limit : undefined;
    return { ours: median(ours), peer: median(theirs), ratio, fraction };
  } catch (error) {
    return { error: (error as Error).message };
  } finally {
    for (const contender of open) contender.close();
  }
}

async function run(
  { work, ours, peer, target }: Row,
  engine: string,
  numerics: Work["numerics"] = "strict",
): Promise<Outcome> {
  const mine = { ...ours, numerics };
  const [against, other] =
    typeof peer === "string" ? [peer, PEERS[peer](JSON.stringify(mine))] : [peer.name, limbeck(engine, peer.work)];
  const found = await compare(limbeck(engine, mine), other);
  const met = found.ratio === undefined ? undefined : found.ratio >= target;
  return { work, engine: numerics === "fast" ? `${engine}, fast` : engine, against, target, ...found, met };
}

/** The same work, in every other engine beside this one; with fast numerics in every engine. */
async function compareEngines(work: string, strict: Work): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const against = `${here}, strict`;
  for (const numerics of ["strict", "fast"] as const)
    for (const name of engines.filter((name) => numerics === "fast" || name !== here)) {
      const found = await compare(limbeck(name, { ...strict, numerics }), limbeck(here, strict));
      outcomes.push({ work, engine: `${name}, ${numerics}`, against, ...found });
    }
  return outcomes;
}

/** Processes that take turns, the first of them ours. */
async function compareWhole(
  work: string,
  target: number,
  mine: readonly string[],
  others: Readonly<Record<string, readonly string[]>>,
  times: number,
): Promise<Outcome[]> {
  const names = Object.keys(others);
  const spent: number[][] = [[], ...names.map(() => [])];
  const errors: (string | undefined)[] = spent.map(() => undefined);
  for (let round = 0; round < times; round++)
    for (const [i, command] of [mine, ...names.map((name) => others[name])].entries())
      await wholeRun(command).then(
        (ms) => spent[i].push(ms),
        (error: Error) => {
          errors[i] = error.message;
        },
      );
  return names.map((against, i) => {
    const error = errors[0] ?? errors[i + 1];
    if (error !== undefined) return { work, engine: here, against, target, error };
    const ratio = median(spent[0].map((ms, round) => spent[i + 1][round] / ms));
    const [ours, peer] = [spent[0], spent[i + 1]].map(median);
    return { work, engine: here, against, target, ours, peer, ratio, met: ratio >= target };
  });
}

/** A folder that `limbeck predict` loads: a student of 4×312 with random weights. */
async function someStudent(): Promise<string> {
  const folder = `${scratch}/4x312`;
  const config = bertConfig({ layers: 4, width: 312, heads: 12, inner: 1200 });
  const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  while (vocabulary.length < config.vocab_size) vocabulary.push(`word${vocabulary.length}`);
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/config.json`, JSON.stringify(config));
  await writeFile(`${folder}/vocab.txt`, `${vocabulary.join("\n")}\n`);
  await writeFile(`${folder}/model.safetensors`, serializeSafetensors(randomWeights(config)));
  return folder;
}

/** The command from its start to the answer, beside the engine that starts and ends. */
async function coldStart(): Promise<Outcome[]> {
  const own = [process.execPath, command, "predict", "--model", await someStudent(), "word7 word8 word9"];
  return compareWhole(
    "cold start: predict, 4×312",
    1 / 10,
    own,
    { "node -e 0": [process.execPath, "-e", "0"] },
    rounds,
  );
}

/** From loading to a written student of three layers, on the first rows of SST-2, one epoch. */
async function distillation(): Promise<Outcome[]> {
  const work = `SST-2 distillation, ${options["distill-rows"]} rows, an epoch, to a written student, strict, 2 threads`;
  if (options.teacher === undefined || options.torch === undefined) {
    skipped.push(work);
    return [];
  }
  const lines = (await readFile(`${options.data}/sst2/train.tsv`, "utf8")).split("\n");
  const train = `${scratch}/train.tsv`;
  await writeFile(train, `${lines.slice(0, 1 + Number(options["distill-rows"])).join("\n")}\n`);
  const common = ["--teacher", options.teacher, "--train", train, "--batch-size", "32", "--learning-rate", "2e-4"];
  const mine = ["--student", "layers:0,3,5", "--recipe", "kd", "--epochs", "1", "--device", "wasm", "--threads", "2"];
  const own = [process.execPath, command, "distill", ...common, ...mine, "--out", `${scratch}/ours`, "--overwrite"];
  const theirs = (padding: string) => {
    const rest = ["--layers", "1,4,6", "--padding", padding, "--out", `${scratch}/theirs`];
    return [options.torch as string, `${bench}contenders/distill.py`, ...common, ...rest];
  };
  const peers = {
    "transformers, shuffled, dynamic padding": theirs("longest"),
    "transformers, grouped by length": theirs("grouped"),
    "transformers, 128 tokens": theirs("max"),
  };
  return compareWhole(work, 1, own, peers, Math.min(rounds, 3));
}

/**
 * Whether a step takes what its arithmetic and its bytes cost: t = a·FLOP + b·bytes, a and b of the least squares of relative errors over
 * steps of many sizes, and the largest of those errors; and whether the last of 2,000 steps take longer than those behind the warm-up.
 */
async function timeModel(): Promise<Outcome[]> {
  const sizes = [
    ...[128, 312, 384].flatMap((width) => [2, 4].map((layers) => ({ width, layers, sequences: 16, length: 32 }))),
    ...[8, 32].map((sequences) => ({ width: 312, layers: 4, sequences, length: 32 })),
    ...[16, 64, 128].map((length) => ({ width: 312, layers: 2, sequences: 8, length })),
  ];
  const open: Contender[] = [];
  try {
    for (const { width, layers, ...rest } of sizes) {
      const model = bert(layers, width, width === 128 ? 2 : 12, 4 * width, 0.1);
      open.push(await Contender.start(limbeck(here, { what: "step", threads: 1, model, ...rest })));
    }
    const times = (await race(open)).map(median);
    const rows = open.map(({ said: { flops = 0, bytes = 0 } }, i) => [flops / times[i], bytes / times[i]]);
    // Normal equations of rows · (a, b) ≈ 1.
    const dot = (i: number, j: number) => rows.reduce((sum, row) => sum + row[i] * row[j], 0);
    const [ff, fb, bb] = [dot(0, 0), dot(0, 1), dot(1, 1)];
    const [f, b] = [0, 1].map((i) => rows.reduce((sum, row) => sum + row[i], 0));
    const [perFlop, perByte] = [(f * bb - b * fb) / (ff * bb - fb * fb), (b * ff - f * fb) / (ff * bb - fb * fb)];
    const errors = rows.map(([flop, byte]) => Math.abs(perFlop * flop + perByte * byte - 1));
    const worst = errors.indexOf(Math.max(...errors));
    const fitted = times[worst] * (perFlop * rows[worst][0] + perByte * rows[worst][1]);
    const { width, layers, sequences, length } = sizes[worst];
    console.error(`a: ${(1e-6 / perFlop).toFixed(1)} GFLOP/s, b: ${(1e-6 / perByte).toFixed(1)} GB/s`);
    const model = {
      ...{
        work: `time model over ${sizes.length} sizes of step, worst: ${layers}×${width}, ${sequences} × ${length} tokens`,
      },
      ...{ engine: here, against: "a·FLOP + b·bytes", ours: times[worst], peer: fitted, ratio: 1 - errors[worst] },
      ...{ target: 0.85, met: errors[worst] <= 0.15 },
    };
    const steps = (await open[0].each(2000)).slice(100);
    const [first, last] = [steps.slice(0, 400), steps.slice(-400)].map(median);
    const growth = {
      ...{
        work: "2,000 steps 2×128, 16 × 32 tokens: the last 400",
        engine: here,
        against: "those behind the first 100",
      },
      ...{ ours: last, peer: first, ratio: first / last, target: 0.95, met: first / last >= 0.95 },
    };
    return [model, growth];
  } finally {
    for (const contender of open) contender.close();
  }
}

const wanted = (text: string) =>
  options.only === undefined || options.only.split(",").some((part) => text.includes(part));
const outcomes: Outcome[] = [];
console.log(`${machine()}; ${rounds} rounds, medians\n`);
for (const row of ROWS.filter(({ work }) => wanted(work))) {
  if (row.peer === "PyTorch" && options.torch === undefined) {
    skipped.push(row.work);
    continue;
  }
  console.error(row.work);
  outcomes.push(await run(row, here));
  const { fast } = row;
  // Where that engine is absent the row says so.
  if (fast !== undefined) outcomes.push(await run({ ...row, target: fast }, FAST, "fast"));
}
if (wanted("cold start")) outcomes.push(...(await coldStart()));
if (wanted("distillation")) outcomes.push(...(await distillation()));
if (wanted("time model")) outcomes.push(...(await timeModel()));
if (wanted("engines")) {
  outcomes.push(...(await compareEngines("product 1024·768·768, 1 thread", product(1024, 768, 768, 1))));
  outcomes.push(
    ...(await compareEngines("step 4×312, 16 × 64 tokens, AdamW, dropout, 2 threads", {
      ...{ what: "step", threads: 2, model: FOUR_DROPOUT },
      ...sized(16, 64),
    })),
  );
}

const show = (x: number | undefined, digits = 2) => (x === undefined ? "" : x.toFixed(digits));
console.log(
  table(
    ["work", "engine", "limbeck, ms", "against", "ms", "ratio", "target", "", "of the limit"],
    outcomes.map((o) => [
      ...[o.work, o.engine, show(o.ours), o.against ?? "", o.error ?? show(o.peer), show(o.ratio), show(o.target)],
      o.met === undefined ? "" : o.met ? "met" : "missed",
      o.fraction === undefined ? "" : `${Math.round(100 * o.fraction)} %`,
    ]),
  ),
);
if (skipped.length > 0) console.log(`\nLeft out, for want of --torch: ${skipped.join("; ")}.`);
const record = { date: new Date().toISOString().slice(0, 10), machine: machine(), rounds, rows: outcomes, skipped };
// A part of the table does not take the place of the whole.
const whole = options.only === undefined ? `${bench}results/cpu.json` : undefined;
const file = options.results ?? whole;
if (file !== undefined) await writeFile(file, `${JSON.stringify(record, null, 1)}\n`);
