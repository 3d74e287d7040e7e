// What a run leaves behind: a Hugging Face folder with a model card, the metrics, and everything resolved in limbeck.json.

import type { Dataset } from "../data/dataset.ts";
import { does } from "../formats/config.ts";
import type { Files } from "../formats/files.ts";
import { writeModelFolder } from "../formats/huggingface.ts";
import { printJson } from "../formats/json.ts";
import { serializeSafetensors } from "../formats/safetensors.ts";
import { familyOf, type ModelConfig } from "../models/index.ts";
import type { Recipe } from "../recipes/recipe.ts";
import { sha256 } from "../sha256.ts";
import { VERSION } from "../version.ts";
import type { Identity } from "./identity.ts";
import type { Metrics } from "./metrics.ts";
import { type Model, parameterCount } from "./model.ts";
import type { Recorded } from "./run.ts";

/** One line of the comparison: a model and how it did. */
export interface Judged {
  readonly role: string;
  readonly name: string;
  readonly parameters: number;
  readonly megabytes: number;
  readonly metrics?: Metrics;
  readonly millisecondsPerSentence?: number;
}

export function judge(role: string, model: Pick<Model, "name" | "config">, more: Partial<Judged> = {}): Judged {
  const parameters = parameterCount(model.config);
  return { role, name: model.name, parameters, megabytes: (4 * parameters) / 1e6, ...more };
}

export interface RunRecord {
  readonly command: "finetune" | "distill" | "pretrain";
  readonly summary: string;
  /** Resolved options, flat. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly device: string;
  readonly train: Dataset;
  readonly eval?: Dataset;
  readonly text?: Dataset;
  readonly evalText?: Dataset;
  readonly recipe: Recipe;
  /** Of everything that decides the weights, in a chain. */
  readonly fingerprint?: string;
  readonly identity: Identity;
  /** Checkpoints that stay when the run is complete. */
  readonly keptCheckpoints: number;
  /** The numbers of each stage, when there are several. */
  readonly stages?: Readonly<Record<string, unknown>>;
  readonly judged: readonly Judged[];
  readonly events: readonly Recorded[];
  readonly steps: { done: number; planned: number };
  readonly seconds: number;
  readonly notes: readonly string[];
  /** Why the run ended before its last step. */
  readonly stopped?: string;
}

const percent = (x: number | undefined) => (x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);
const ratio = (x: number | undefined) => (x === undefined ? "–" : x.toFixed(3));

/** Plain text without masks judged it. */
const onlyLoss = (metrics?: Metrics) => metrics !== undefined && Object.keys(metrics).join() === "count,loss";

/** The comparison as a Markdown table; columns that nobody has are left out. */
export function judgedTable(judged: readonly Judged[]): string {
  const columns: [string, (j: Judged) => string, boolean][] = [
    ["", (j) => j.role, true],
    ["parameters", (j) => j.parameters.toLocaleString("en"), true],
    ["MB", (j) => j.megabytes.toFixed(1), true],
    ["loss", (j) => j.metrics?.loss?.toFixed(4) ?? "–", judged.some(({ metrics }) => onlyLoss(metrics))],
    ["perplexity", (j) => j.metrics?.perplexity?.toFixed(1) ?? "–", judged.some((j) => j.metrics?.perplexity)],
    ["accuracy", (j) => percent(j.metrics?.accuracy), judged.some((j) => j.metrics?.accuracy !== undefined)],
    ["F1", (j) => ratio(j.metrics?.f1), judged.some((j) => j.metrics?.f1 !== undefined)],
    ["Pearson", (j) => ratio(j.metrics?.pearson), judged.some((j) => j.metrics?.pearson !== undefined)],
    ["Spearman", (j) => ratio(j.metrics?.spearman), judged.some((j) => j.metrics?.spearman !== undefined)],
    ["agreement", (j) => percent(j.metrics?.agreement), judged.some((j) => j.metrics?.agreement !== undefined)],
    ["ms/sentence", (j) => j.millisecondsPerSentence?.toFixed(2) ?? "–", judged.some((j) => j.millisecondsPerSentence)],
  ];
  const used = columns.filter(([, , use]) => use);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(used.map(([title]) => title)),
    line(used.map(() => "---")),
    ...judged.map((j) => line(used.map(([, cell]) => cell(j)))),
  ].join("\n");
}

function useOf(config: ModelConfig): { readonly pipeline: string; readonly says: string } {
  if (does("classification", config)) {
    const labels = `Labels: ${Object.values(config.id2label).join(", ")}.`;
    return { pipeline: "text-classification", says: config.problem_type === "regression" ? "One score." : labels };
  }
  if (does("maskedLm", config)) return { pipeline: "fill-mask", says: "Tells masked tokens." };
  return { pipeline: "feature-extraction", says: "Has no head: fine-tune it, or distil it on." };
}

/** Hugging Face's model card: YAML front matter, then what a reader asks. */
function modelCard(model: Model, record: RunRecord): string {
  const { pipeline, says } = useOf(model.config);
  const list = (object: object) =>
    Object.entries(object)
      .map(([key, value]) => `- ${key}: ${JSON.stringify(value)}`)
      .join("\n");
  const data = (dataset: Dataset) =>
    `${dataset.examples.length} rows (${dataset.labelled} labelled), SHA-256 \`${dataset.fingerprint}\``;
  return `---
library_name: transformers
pipeline_tag: ${pipeline}
tags:
- ${model.config.model_type}
- limbeck
${record.command === "distill" ? "- distillation\n" : ""}---

# ${record.summary}

${judgedTable(record.judged)}

${says} Trained by limbeck ${VERSION} on ${record.device}.
${record.stopped ? `\n**Stopped early** after step ${record.steps.done} of ${record.steps.planned}: ${record.stopped}\n` : ""}
## Data

- training: ${data(record.train)}
${record.eval ? `- evaluation: ${data(record.eval)}\n` : ""}${record.text ? `- plain text: ${data(record.text)}\n` : ""}${record.evalText ? `- held-out text: ${data(record.evalText)}\n` : ""}
## Options

${list(record.options)}
${record.stages ? `\n## Stages\n\n${list(record.stages)}\n` : ""}`;
}

/** What of limbeck.json a later run reads. */
export interface Finished {
  readonly models: readonly Judged[];
  readonly steps: RunRecord["steps"];
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly weights: { readonly sha256: string };
}

export interface Saved {
  /** Of model.safetensors. */
  readonly sha256: string;
}

/** `alone`: what else was in the folder goes. */
export async function saveRun(files: Files, model: Model, record: RunRecord, alone: boolean): Promise<Saved> {
  const digest = await sha256(serializeSafetensors(model.weights));
  const metrics = record.events.map((event) => printJson(event));
  const resolved = {
    limbeck: VERSION,
    command: record.command,
    complete: record.stopped === undefined,
    stopped: record.stopped,
    device: record.device,
    options: record.options,
    recipe: record.recipe,
    stages: record.stages,
    fingerprint: record.fingerprint,
    identity: record.identity,
    keptCheckpoints: record.keptCheckpoints,
    data: {
      train: record.train.fingerprint,
      eval: record.eval?.fingerprint,
      text: record.text?.fingerprint,
      evalText: record.evalText?.fingerprint,
    },
    models: record.judged,
    steps: record.steps,
    seconds: record.seconds,
    notes: record.notes,
    weights: { file: "model.safetensors", sha256: digest },
  };
  await writeModelFolder(
    files,
    {
      config: model.config,
      format: familyOf(model.config),
      weights: model.weights,
      tokenizerFiles: model.tokenizer.files,
      readme: modelCard(model, record),
      extra: new Map([
        ["metrics.jsonl", `${metrics.join("\n")}\n`],
        ["limbeck.json", `${printJson(resolved, 2)}\n`],
      ]),
    },
    { alone },
  );
  return { sha256: digest };
}
