// What masked-LM training gains on real text: a base gets a masked-LM head (and is trained with it), then students are trained by the stages
// on plain text of recipes, say `distilbert` and masked-LM alone, from the same start, on the same text and for as many updates a stage. Judged
// by the perplexity of masked tokens of held-out text, before the stage with masks and after it.
//   npm run bench -- perplexity --base DIR [--steps 60 --student-steps 60 --student distilbert:layers:3 --recipes distilbert,mlm]
//     [--student-rate 3e-4: the students' learning rate, 0 those of the recipe, which LAMB needs]
//     [--teacher DIR: a masked-LM folder, in place of the first step] [--text wikitext2/valid.txt --eval-text wikitext2/test.txt]
//     [--mlm-smoothing 0: as what is judged; DistilBERT's own is 0.7, which favours rare tokens]
//     [--eval-rows 200: of the held-out text, 0 all] [--all-tokens: probabilities of all tokens are compared, which costs several times as much]
// The data are read from --data (default ../shared/data) and never written anywhere. Each run is a line of bench/results/perplexity.jsonl.

import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { distill, type Model, pretrain, type Run, recipes, VERSION } from "../src/index.ts";
import { node } from "../src/runtimes/node.ts";
import { loadModel } from "../src/train/model.ts";
import { machine, table } from "./common.ts";

const { values: options } = parseArgs({
  options: {
    base: { type: "string" },
    teacher: { type: "string" },
    data: { type: "string", default: "../shared/data" },
    text: { type: "string", default: "wikitext2/valid.txt" },
    "eval-text": { type: "string", default: "wikitext2/test.txt" },
    "eval-rows": { type: "string", default: "200" },
    steps: { type: "string", default: "60" },
    "student-steps": { type: "string", default: "60" },
    student: { type: "string", default: "distilbert:layers:3" },
    recipes: { type: "string", default: "distilbert,mlm" },
    "all-tokens": { type: "boolean", default: false },
    "batch-size": { type: "string", default: "16" },
    "max-length": { type: "string", default: "64" },
    "learning-rate": { type: "string", default: "3e-4" },
    "student-rate": { type: "string" },
    "mlm-smoothing": { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
    out: { type: "string" },
  },
});

type Numeric =
  | "steps"
  | "student-steps"
  | "batch-size"
  | "max-length"
  | "learning-rate"
  | "mlm-smoothing"
  | "seed"
  | "threads";
const number = (name: Numeric) => Number(options[name]);
const evalBytes = async () => {
  const lines = (await readFile(`${options.data}/${options["eval-text"]}`, "utf8")).split("\n");
  const kept = lines.filter((line) => line.trim() !== "").slice(0, Number(options["eval-rows"]) || undefined);
  return new TextEncoder().encode(kept.join("\n"));
};
const common = {
  text: `${options.data}/${options.text}`,
  mlmSmoothing: number("mlm-smoothing"),
  evalText: { name: options["eval-text"], bytes: await evalBytes() },
  ...{ batchSize: number("batch-size"), maxLength: number("max-length") },
  ...({ seed: number("seed"), threads: number("threads"), device: "wasm", evalSteps: 1e9, overwrite: true } as const),
};

interface Outcome {
  readonly model: Model;
  readonly before: number;
  readonly after: number;
  readonly seconds: number;
}

async function judged(run: Run): Promise<Outcome> {
  const found: number[] = [];
  for await (const event of run)
    if (event.type === "evaluation" && event.metrics.perplexity !== undefined) found.push(event.metrics.perplexity);
    else if (event.type === "step") console.error(`  ${event.step}/${event.steps} loss ${event.loss.toFixed(3)}`);
  const { model, seconds } = await run.result;
  return { model, before: found[0], after: found[found.length - 1], seconds };
}

const results = fileURLToPath(new URL("../../bench/results/perplexity.jsonl", import.meta.url));
await mkdir(dirname(results), { recursive: true });
const cells: string[][] = [];
async function tell(name: string, steps: number, { before, after, seconds }: Outcome): Promise<void> {
  cells.push([
    name,
    String(steps),
    before.toFixed(1),
    after.toFixed(1),
    (before / after).toFixed(2),
    seconds.toFixed(0),
  ]);
  const { base, teacher, data, out, threads, ...settings } = options;
  await appendFile(
    results,
    `${JSON.stringify({ model: name, steps, settings, before, after, seconds, version: VERSION })}\n`,
  );
}

console.log(machine());
let teacher: Model;
if (options.teacher === undefined) {
  if (options.base === undefined)
    throw new Error("name the base by --base DIR, or a masked-LM folder by --teacher DIR");
  const steps = number("steps");
  const run = pretrain({
    ...common,
    model: options.base,
    trainBody: true,
    learningRate: number("learning-rate"),
    maxSteps: steps,
    epochs: 0,
    out: options.out,
  });
  const outcome = await judged(run);
  await tell("teacher", steps, outcome);
  teacher = outcome.model;
} else teacher = await loadModel(node.folder(options.teacher), { tasks: ["maskedLm"] });

const learningRate = Number(options["student-rate"] ?? options["learning-rate"]) || undefined;
for (const name of options.recipes.split(",")) {
  const { task: _, ...stages } = recipes[name].stages;
  const steps = number("student-steps");
  const restrictCeToMask = name === "distilbert" && !options["all-tokens"];
  const own = { recipe: { ...recipes[name], stages }, student: options.student, teacher, restrictCeToMask };
  const run = distill({ ...common, ...own, learningRate, maxSteps: steps, epochs: 0 });
  await tell(`${options.student}, ${name}`, steps, await judged(run));
}
console.log(table(["", "updates", "perplexity before", "after", "ratio", "seconds"], cells));
