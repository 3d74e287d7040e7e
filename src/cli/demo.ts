// npm run demo: the whole story offline, in about two minutes on two cores. Reviews are made from a seeded grammar, and a
// small BERT teacher learns from many labelled ones, from scratch. Then, as in life, labels are few and text is plenty: a
// smaller student is distilled on few labelled and many unlabelled reviews, and the same student (the same fresh weights,
// the same labels, as many updates) learns from the labels alone.

import { mkdir, stat, writeFile } from "node:fs/promises";
import { Command, InvalidArgumentError } from "commander";
import { labelMaps } from "../formats/config.ts";
import { distill, finetune, type Model, type Run, type TrainingResult } from "../index.ts";
import type { BertConfig } from "../models/bert.ts";
import { freshWeights } from "../train/model.ts";
import { fail } from "./failure.ts";
import { grammarTokenizer, type Review, writeReviews } from "./grammar.ts";
import { count, duration, table } from "./output.ts";
import { progressOn } from "./progress.ts";

/** Labelled reviews of the teacher; the students get the first of them. */
const TAUGHT = 6000;
const LABELLED = 2000;
const UNLABELLED = 12000;
const HELD_OUT = 2000;
const FOLDER = "demo";
const LABELS = ["negative", "positive"];
const STUDENT = "bert:2x32x4x128";

/** Of the teacher, of both students, and of the distilled one. With two classes there is little to soften: T = 1. */
const TEACHING = { epochs: 4, learningRate: 1e-3 };
const LEARNING = { epochs: 0, maxSteps: 2500, learningRate: 2e-3 };
const KD = { recipe: "kd", temperature: 1, alpha: 0.9 };

/** Small models that start from nothing learn fast and in small batches. */
const SHARED = {
  // The same numbers on every machine.
  device: "wasm" as const,
  batchSize: 16,
  maxLength: 64,
  loggingSteps: 100,
  evalSteps: 500,
  overwrite: true,
  data: { label2id: labelMaps(LABELS).label2id },
};

function freshTeacher(seed: number): Model {
  const tokenizer = grammarTokenizer();
  const config: BertConfig = {
    model_type: "bert",
    vocab_size: tokenizer.vocabularySize,
    hidden_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    intermediate_size: 256,
    hidden_act: "gelu",
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    classifier_dropout: null,
    max_position_embeddings: SHARED.maxLength,
    type_vocab_size: 2,
    // BERT's 0.02 is made for a width of 768; narrower rows need larger weights to reach the same scores.
    initializer_range: 0.08,
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
    position_embedding_type: "absolute",
    ...labelMaps(LABELS),
    problem_type: "single_label_classification",
  };
  return { name: "bert:2x64 from scratch", config, weights: freshWeights(config, seed), tokenizer, notes: [] };
}

interface Outcome {
  readonly role: string;
  /** What it learned from. */
  readonly labels: string;
  readonly result: TrainingResult;
  readonly bytes: number;
}

async function main(seed: number): Promise<void> {
  const began = performance.now();
  await mkdir(FOLDER, { recursive: true });
  const heldOut = writeReviews(seed, "held-out", HELD_OUT);
  const many = writeReviews(seed, "labelled", TAUGHT, heldOut);
  const few = many.slice(0, LABELLED);
  const bare = writeReviews(seed, "unlabelled", UNLABELLED, [...heldOut, ...many]);
  const write = async (name: string, labelled: readonly Review[], unlabelled: readonly Review[] = []) => {
    const rows = [
      ...labelled.map(({ text, label }) => `${text}\t${label}\n`),
      ...unlabelled.map(({ text }) => `${text}\t\n`),
    ];
    const path = `${FOLDER}/${name}.tsv`;
    await writeFile(path, `sentence\tlabel\n${rows.join("")}`);
    return path;
  };
  const examples = many.slice(0, 5).map(({ text, label }) => `  ${label}  ${text}\n`);
  say(`reviews of seed ${seed}, such as\n${examples.join("")}`);

  const common = { ...SHARED, seed, eval: await write("held-out", heldOut) };
  const teacher = await follow("teacher", count(TAUGHT), async (out) =>
    finetune({ ...common, ...TEACHING, model: freshTeacher(seed), train: await write("teacher", many), out }),
  );
  const pupil = { ...common, ...LEARNING, teacher: teacher.result.model, student: STUDENT };
  const texts = `${count(LABELLED)} + ${count(UNLABELLED)} texts`;
  const student = await follow("student", texts, async (out) =>
    distill({ ...pupil, ...KD, train: await write("student", few, bare), out }),
  );
  const alone = await follow("labels-only", count(LABELLED), async (out) =>
    distill({ ...pupil, recipe: "hard", train: await write("labels-only", few), out }),
  );
  report(seed, [teacher, student, alone], (performance.now() - began) / 1000);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function follow(role: string, labels: string, start: (out: string) => Promise<Run>): Promise<Outcome> {
  const out = `${FOLDER}/${role}`;
  const progress = progressOn(process.stderr);
  progress.show({ type: "note", text: role });
  const run = await start(out);
  try {
    for await (const event of run) if (event.type !== "note") progress.show(event);
  } finally {
    progress.close();
  }
  return { role, labels, result: await run.result, bytes: (await stat(`${out}/model.safetensors`)).size };
}

function report(seed: number, outcomes: readonly Outcome[], seconds: number): void {
  const percent = (x: number | undefined) => (x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);
  const rows = outcomes.map(({ role, labels, result, bytes }) => {
    // A run's own model is judged last.
    const { metrics, millisecondsPerSentence, parameters } = result.judged[result.judged.length - 1];
    return [
      ...[role, labels, count(parameters), `${count(bytes / 1000)} kB`],
      ...[percent(metrics?.accuracy), percent(metrics?.agreement)],
      ...[millisecondsPerSentence?.toFixed(2) ?? "–", duration(result.seconds)],
    ];
  });
  const [teacher, student, alone] = outcomes.map(({ result }) => 100 * (result.metrics?.accuracy ?? 0));
  const title = ["labels", "parameters", "file", "accuracy", "agreement", "ms/sentence", "training"];
  say(`
${table([[`seed ${seed}`, ...title], ...rows])}

accuracy, and agreement with the teacher, on ${count(HELD_OUT)} held-out reviews; both students start from the same weights,
know the same ${count(LABELLED)} labels and make ${count(LEARNING.maxSteps)} updates; ${duration(seconds)} in all
student − teacher: ${signed(student - teacher)} points; student − labels-only: ${signed(student - alone)} points

${FOLDER}/teacher, ${FOLDER}/student and ${FOLDER}/labels-only are there to try:
  npx limbeck predict --model ${FOLDER}/student "the soup was not bad , but the waiter was anything but polite"`);
}

const signed = (x: number) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(1)}`;

function seedOf(text: string): number {
  const seed = Number(text);
  if (text.trim() !== "" && Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw new InvalidArgumentError(`expected an integer from 0 to ${2 ** 32 - 1}.`);
}

const program = new Command("demo")
  .description("trains a teacher on made-up reviews, distils it, and compares")
  .option("--seed <n>", "of the reviews, the weights and the order of training", seedOf, 1)
  .exitOverride();
try {
  await main(program.parse().opts<{ seed: number }>().seed);
} catch (error) {
  process.exitCode = fail(error);
}
