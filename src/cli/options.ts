// The options of the commands: one table says each flag, its help, and what its value may be. Flags stand over `--config
// run.json`, whose keys are the flags' names (learning-rate, learning_rate and learningRate are one), and that over the
// library's defaults. Ranges are the library's to check; here a value must have the right type.

import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import * as v from "valibot";
import { FORMATS } from "../data/table.ts";
import { InputError } from "../errors.ts";
import { decodeUtf8, quote } from "../formats/files.ts";
import { isObject, parseJson } from "../formats/json.ts";
import { optimizers } from "../optim/index.ts";
import { CURVES, LR_SCHEDULERS } from "../optim/schedule.ts";
import { recipes } from "../recipes/index.ts";
import { BEST_BY } from "../train/metrics.ts";
import { checkNumbers, flag, GPU_FEATURES, MAX_BAD_STEPS, TRAINING } from "../train/options.ts";
import { KEEPING } from "../train/runFolder.ts";

/** What a value may be: `schema` for a configuration file, `read` for the text of a flag. */
interface Kind {
  readonly expected: string;
  readonly schema: v.GenericSchema<unknown>;
  readonly read?: (text: string) => unknown;
  /** Of a flag that may stand several times. */
  readonly join?: (before: unknown, value: unknown) => unknown;
}

function kind(expected: string, holds: (x: unknown) => boolean, read?: Kind["read"], join?: Kind["join"]): Kind {
  return { expected, schema: v.custom(holds, ({ input }) => mismatch(expected, input)), read, join };
}

const mismatch = (expected: string, found: unknown) => `expected ${expected}, found ${quote(found)}`;
const isText = (x: unknown) => typeof x === "string" && x !== "";
const isIndex = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 0;
const isList = (x: unknown, holds: (x: unknown) => boolean) => Array.isArray(x) && x.length > 0 && x.every(holds);
const isVarying = (x: unknown) =>
  Number.isFinite(x) ||
  (isObject(x) &&
    Number.isFinite(x.from) &&
    Number.isFinite(x.to) &&
    CURVES.includes(x.curve as (typeof CURVES)[number]));
const asNumber = (text: string) => (text.trim() === "" ? Number.NaN : Number(text));
const parts = (text: string) => text.split(",").map((part) => part.trim());

const text = kind("a text", isText);
const number = kind("a number", Number.isFinite, asNumber);
const yes = kind("true or false", (x) => typeof x === "boolean");
const column = kind("a column's name, or its number from 0", (x) => isText(x) || isIndex(x));
const columns = kind(
  "columns' names, or their numbers from 0",
  (x) => isList(x, (own) => isText(own) || isIndex(own)),
  parts,
);
const texts = kind("a text, or a list of texts", (x) => isText(x) || isList(x, isText), parts);
const students = kind(
  "a student such as bert:6x384, or a list of such",
  (x) => isList(x, isText),
  (given) => [given],
  (before, value) => [...(before as string[]), ...(value as string[])],
);
const files = kind(
  "a file, or a list of files",
  (x) => isText(x) || isList(x, isText),
  undefined,
  (before, value) => [before, value].flat(),
);
const layers = kind(
  "layer numbers such as 2,4",
  (x) => isList(x, isIndex),
  (given) => parts(given).map(asNumber),
);
const features = kind(
  `some of ${GPU_FEATURES.join(", ")}, or none`,
  (x) => Array.isArray(x) && x.every((name) => GPU_FEATURES.includes(name)),
  (given) => (given === "none" ? [] : parts(given)),
);
/** 4, or 4:1 along a line, or 4:1:cosine. */
const varying = kind("a number, or FROM:TO[:linear|cosine]", isVarying, (given) => {
  const [from, to, curve = "linear"] = given.split(":");
  return to === undefined ? asNumber(given) : { from: asNumber(from), to: asNumber(to), curve };
});
const stages = kind(
  "STAGE.OPTION=VALUE such as intermediate.epochs=8",
  (x) => isObject(x) && Object.values(x).every((own) => isObject(own) && Object.keys(own).length > 0),
  (given) => {
    const [, stage, option, value] = /^([\w-]+)\.([\w-]+)=(.+)$/.exec(given) ?? [];
    return stage === undefined
      ? undefined
      : { [stage]: { [option]: Number.isNaN(asNumber(value)) ? value : asNumber(value) } };
  },
  (before, value) => {
    const all = { ...(before as Record<string, object>) };
    for (const [stage, own] of Object.entries(value as Record<string, object>)) all[stage] = { ...all[stage], ...own };
    return all;
  },
);
const oneOf = (...values: readonly string[]) =>
  kind(`one of ${values.join(", ")}`, (x) => values.includes(x as string));

type Entry = readonly [flags: string, help: string, kind: Kind];

const trained = (name: keyof typeof TRAINING, flag: string, help: string): Entry => [
  `--${flag} <n>`,
  `${help} (default: ${TRAINING[name]})`,
  number,
];

/** Groups of flags, as the help shows them. */
const GROUPS = {
  data: {
    title: "Data:",
    entries: [
      ["--format <name>", `${FORMATS.join(", ")} (default: by the file's name)`, oneOf(...FORMATS)],
      ["--encoding <name>", "of the data files (default: utf-8)", text],
      ["--no-header", "the first row is data", yes],
      ["--text-column <name>", "name, or number from 0, of the column with the text", column],
      ["--pair-column <name>", "of the second text", column],
      ["--label-column <name>", "of the label", column],
      [
        "--task <name>",
        "classification or regression (default: as the labels are)",
        oneOf("classification", "regression"),
      ],
      ["--skip-bad <n>", "malformed rows that may be left out (default: 0)", number],
    ],
  },
  output: {
    title: "Output:",
    entries: [
      ["--out <folder>", "where the model goes", text],
      ["--overwrite", "replace the model in that folder", yes],
      [
        "--save-steps <n>",
        `updates between checkpoints; 0: one at the end of each epoch (default: ${KEEPING.saveSteps})`,
        number,
      ],
      [
        "--save-total-limit <n>",
        `checkpoints that are kept, the newest (default: ${KEEPING.saveTotalLimit}, and none once the run is complete)`,
        number,
      ],
      [
        "--best-by <metric>",
        `the model is that of the best evaluation, not of the last update: ${BEST_BY.join(", ")}`,
        oneOf(...BEST_BY),
      ],
      ["--resume", "go on with the run in that folder, from its newest valid checkpoint", yes],
      ["--force-resume", "even though data, models or options changed", yes],
      ["--profile", "time every kernel, and show where the time went", yes],
    ],
  },
  training: {
    title: "Training:",
    entries: [
      trained("epochs", "epochs", "passes over the training rows"),
      ["--max-steps <n>", "updates at most (default: as the epochs say)", number],
      trained("batchSize", "batch-size", "sequences in a batch"),
      trained("learningRate", "learning-rate", "largest learning rate"),
      [
        "--lr-scheduler-type <name>",
        `behind the warm-up: ${LR_SCHEDULERS.join(", ")} (default: ${TRAINING.lrSchedulerType})`,
        oneOf(...LR_SCHEDULERS),
      ],
      [
        "--optimizer <name>",
        `${Object.keys(optimizers).join(", ")} (default: ${TRAINING.optimizer})`,
        oneOf(...Object.keys(optimizers)),
      ],
      ["--adam-beta1 <n>", "of the optimiser (default: its own)", number],
      ["--adam-beta2 <n>", "of the optimiser (default: its own)", number],
      ["--adam-epsilon <n>", "of the optimiser (default: its own)", number],
      trained("weightDecay", "weight-decay", "of the optimiser"),
      trained("warmupRatio", "warmup-ratio", "share of the updates in which the learning rate rises"),
      trained("maxGradNorm", "max-grad-norm", "gradients are clipped to this norm; 0: never"),
      trained("gradientAccumulationSteps", "gradient-accumulation-steps", "batches in an update"),
      trained("seed", "seed", "of everything random"),
      ["--eval-steps <n>", "updates between evaluations (default: one per epoch)", number],
      trained("loggingSteps", "logging-steps", "updates between reports"),
      [
        "--max-bad-steps <n>",
        `steps in a row whose loss or gradient is NaN or infinite, each skipped, before the run stops (default: ${MAX_BAD_STEPS})`,
        number,
      ],
      ["--fp16", "mixed precision, on a GPU that has half precision (shader-f16)", yes],
    ],
  },
  length: {
    title: "Text:",
    entries: [
      [
        "--max-length <n>",
        "tokens of a text; the rest is cut (default: what the model reads, in training at most 128)",
        number,
      ],
    ],
  },
  distillation: {
    title: "Distillation:",
    entries: [
      ["--recipe <name>", `${Object.keys(recipes).join(", ")}, or a file NAME.json (default: kd)`, text],
      ["--text <file>", "plain text for the stages that read it; may stand several times", files],
      ["--eval-text <file>", "plain text by which stages on plain text are judged", text],
      ["--text-teacher <folder>", "teaches those stages: the un-tuned model (default: the teacher)", text],
      ["--stage <setting>", "a number of one stage: intermediate.epochs=8; may stand several times", stages],
      ["--embeddings <file>", "word vectors, as GloVe or word2vec write them (bilstm; default: the teacher's)", text],
      [
        "--assistant <what>",
        "trained on the way and the teacher of what follows: auto (MiniLM's rule), or as --student; may stand several times",
        students,
      ],
      [
        "--init-from <folder>",
        "what layers:… and slice:… are cut out of (default: the teacher); without one, where a fresh student has its vocabulary from",
        text,
      ],
      ["--temperature <t>", "of the soft labels; 4:1 or 4:1:cosine changes it over the training", varying],
      ["--alpha <a>", "share of the soft term, 0 to 1; may change likewise", varying],
      ["--beta <b>", "weight of the patience term (pkd); may change likewise", varying],
      ["--layer-map <list>", "teacher layers from 1, one per student layer that the recipe matches: 2,4", layers],
      ["--no-normalize", "compare hidden states as they are, not on the unit sphere (pkd)", yes],
      ["--restrict-ce-to-mask", "compare probabilities at masked tokens only, which is cheaper (distilbert)", yes],
      ["--relation-heads <n>", "heads that relations are cut into, on both sides (minilm-v2)", number],
      [
        "--soft-label-columns <list>",
        "columns of --train with soft labels, one a class: there is no teacher then",
        columns,
      ],
      [
        "--soft-label-form <name>",
        "what they hold: probabilities or logits (default: probabilities)",
        oneOf("probabilities", "logits"),
      ],
      ["--targets <name>", "labels, or argmax: the teacher's class is the label", oneOf("labels", "argmax")],
    ],
  },
  augmentation: {
    title: "Augmentation (bilstm; tinybert with a masked-LM):",
    entries: [
      ["--n-iter <n>", "copies of each text; 0: none (default: 20; bilstm of pairs 10)", number],
      ["--augmentation-model <folder>", "with a masked-LM head: tinybert's copies have words that it puts there", text],
      [
        "--augmentation-vectors <file>",
        "word vectors, as GloVe writes them, for words of several pieces (default: that model's own)",
        text,
      ],
      ["--p-replace <p>", "probability that a word becomes another so found (default: 0.4)", number],
      ["--candidates <n>", "words that may take the place of one (default: 15)", number],
      ["--p-mask <p>", "probability that a word becomes [MASK] (default: 0.1)", number],
      ["--p-pos <p>", "that it becomes another of its part of speech (default: 0.1)", number],
      ["--p-ng <p>", "that only an n-gram of the copy stays (default: 0.25)", number],
      [
        "--tag-column <name>",
        "of the data: a part of speech for each word (default: by the package compromise)",
        column,
      ],
      ["--pair-tag-column <name>", "of those of the second text", column],
      ["--no-pos", "replace no words: needs neither that column nor that package", yes],
    ],
  },
  cache: {
    title: "Teacher cache:",
    entries: [
      [
        "--cache <folder>",
        "what the teacher says of the rows is computed once and kept there, for later runs too",
        text,
      ],
      ["--cache-size <mb>", "megabytes it may take; what was not used for longest goes first (default: 2000)", number],
      ["--cache-precision <name>", "f16, or f32 for the very numbers (default: f16)", oneOf("f16", "f32")],
    ],
  },
  device: {
    title: "Device:",
    entries: [
      [
        "--device <name>",
        "auto: a GPU that passes its self-test, else wasm; or wasm, webgpu, reference (default: auto)",
        oneOf("auto", "wasm", "webgpu", "reference"),
      ],
      ["--threads <n>", "default: the cores of this machine, at most 8", number],
      [
        "--numerics <name>",
        "of wasm: strict, the same bytes everywhere; fast: relaxed SIMD (default: strict)",
        oneOf("strict", "fast"),
      ],
      [
        "--gpu-features <list>",
        `of a GPU, to be used where it has them, or none (default: ${GPU_FEATURES.join(",")})`,
        features,
      ],
      ["--allow-nonfinite", "load weights that hold NaN or infinity", yes],
    ],
  },
} satisfies Readonly<Record<string, { title: string; entries: readonly Entry[] }>>;

export type Group = keyof typeof GROUPS;

/** Model, data and the like: their help differs from command to command. */
export const OWN = {
  model: (help: string): Entry => ["--model <folder>", help, text],
  teacher: (help: string): Entry => ["--teacher <folders>", help, texts],
  student: [
    "--student <what>",
    "layers:K, layers:0,2,4, distilbert:layers:K, slice:LxD[xHxF], bert:LxD[xHxF], bilstm[:H[xFC]], distilbert:…, mobilebert:LxDxT, ibbert:LxDxT, a folder or a config.json",
    text,
  ],
  train: ["--train <file>", "training rows: .tsv, .csv or .jsonl", text],
  eval: ["--eval <file>", "rows to evaluate on", text],
  text: (help: string): Entry => ["--text <file>", help, files],
  evalText: (help: string): Entry => ["--eval-text <file>", help, text],
  pretraining: [
    ["--train-body", "train the model too, not only its head (of a fresh one always)", yes],
    ["--tokenizer <folder>", "with the tokenizer of a fresh model", text],
    ["--mlm-smoothing <s>", "choose a token of n occurrences in proportion to n^-s (default: 0, all alike)", number],
  ] satisfies readonly Entry[],
  data: ["--data <file>", "rows to evaluate on: .tsv, .csv or .jsonl", text],
} as const;

class TypedOption extends Option {
  constructor(
    [flags, help, valueKind]: Entry,
    title?: string,
    readonly kind: Kind = valueKind,
  ) {
    super(flags, help);
    if (title) this.helpGroup(title);
    // A switch has no text to read.
    if (!this.required) return;
    this.argParser((given: string, before: unknown) => {
      const value = this.#read(given);
      return this.kind.join && before !== undefined ? this.kind.join(before, value) : value;
    });
  }

  #read(given: string): unknown {
    const value = this.kind.read ? this.kind.read(given) : given;
    if (v.is(this.kind.schema, value)) return value;
    throw new InvalidArgumentError(mismatch(this.kind.expected, given));
  }
}

/** A command with its own options, then groups of shared ones. Neither --config nor --json can stand in a configuration. */
export function addOptions(command: Command, own: readonly Entry[], groups: readonly Group[]): Command {
  for (const entry of own) command.addOption(new TypedOption(entry));
  command.addOption(new Option("--config <file>", "options as JSON; flags stand over them"));
  command.addOption(new Option("--json", "one JSON object per line on stdout; words for people on stderr"));
  for (const name of groups) {
    const { title, entries } = GROUPS[name];
    for (const entry of entries) command.addOption(new TypedOption(entry, title));
  }
  return command;
}

/** Resolved options by their camelCase names. */
export type Resolved = Readonly<Record<string, unknown>>;

/** The flags that were given, over the configuration file if one is named. `needed` must come from either. */
export async function resolveOptions(command: Command, needed: readonly string[]): Promise<Resolved> {
  const flags = command.opts();
  const given = Object.fromEntries(
    Object.entries(flags).filter(([name]) => command.getOptionValueSource(name) === "cli"),
  );
  const resolved: Record<string, unknown> = {
    ...(given.config === undefined ? {} : await readConfig(command, String(given.config))),
    ...given,
  };
  const missing = needed.filter((name) => resolved[name] === undefined).map(flag);
  if (missing.length > 0)
    throw new InputError(
      "OPTION_MISSING",
      `${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} needed; see limbeck ${command.name()} --help.`,
    );
  return resolved;
}

export const camel = (name: string) => name.replace(/[-_]+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase());

async function readConfig(command: Command, file: string): Promise<Record<string, unknown>> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const problem = cause.code === "ENOENT" ? "there is no such file." : `the file cannot be read (${cause.code}).`;
    throw new InputError("CONFIG_UNREADABLE", problem, { where: file, cause });
  });
  const json = parseJson(decodeUtf8(bytes, file, "NOT_UTF8"), { where: file });
  if (!isObject(json)) throw new InputError("CONFIG", "expected a JSON object of options.", { where: file });

  const typed = command.options.filter((option) => option instanceof TypedOption);
  const known = new Map(typed.map((option) => [option.attributeName(), option.kind]));
  const config: Record<string, unknown> = {};
  const written = new Map<string, string>();
  for (const [key, value] of Object.entries(json)) {
    const name = camel(key);
    const where = `${file}: ${key}`;
    const kindOf = known.get(name);
    if (!kindOf) throw new InputError("CONFIG_KEY", unknownKey(command, name, [...known.keys()]), { where });
    if (written.has(name))
      throw new InputError("CONFIG_KEY", `the same option stands there as "${written.get(name)}".`, { where });
    written.set(name, key);
    const { success, issues } = v.safeParse(kindOf.schema, value);
    if (!success) throw new InputError("CONFIG_VALUE", `${issues[0].message}.`, { where });
    config[name] = value;
  }
  checkNumbers(config, (name) => `${file}: ${written.get(name)}`);
  return config;
}

function unknownKey(command: Command, name: string, known: readonly string[]): string {
  const near = known.filter((other) => distance(other.toLowerCase(), name.toLowerCase()) <= 2);
  const advice = near.length > 0 ? `did you mean ${near.join(" or ")}?` : `known: ${known.join(", ")}.`;
  return `limbeck ${command.name()} has no such option; ${advice}`;
}

/** Levenshtein's: letters to insert, drop or replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

/** How the data files are read, as the library wants it. */
export function dataOptions(o: Resolved): Record<string, unknown> {
  const { skipBad, encoding, format, header, textColumn, pairColumn, labelColumn, tagColumn, pairTagColumn, task } = o;
  const { softLabelColumns: columns, softLabelForm: form } = o;
  if (form !== undefined && columns === undefined)
    throw new InputError("OPTION_MISSING", "--soft-label-form says what the --soft-label-columns hold; name them.");
  return {
    ...(columns === undefined ? {} : { softLabels: { columns, form } }),
    skipBad,
    encoding,
    format,
    header: header === false ? false : undefined,
    textColumn,
    pairColumn,
    labelColumn,
    tagColumn,
    pairTagColumn,
    task,
  };
}
