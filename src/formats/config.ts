// config.json of a BERT, under Hugging Face's own field names (transformers, models/bert/configuration_bert.py).
// Every field that shapes the computation is checked; a field that would change it and is not supported is refused.
import * as v from "valibot";
import { InputError } from "../errors.ts";
import { quote } from "./files.ts";
import { isObject, type JsonObject, parseJson } from "./json.ts";

const HIDDEN_ACTS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"] as const;
const PROBLEM_TYPES = ["single_label_classification", "multi_label_classification", "regression"] as const;

export interface BertConfig {
  model_type: "bert";
  vocab_size: number;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  hidden_act: (typeof HIDDEN_ACTS)[number];
  hidden_dropout_prob: number;
  attention_probs_dropout_prob: number;
  /** null: hidden_dropout_prob serves. */
  classifier_dropout: number | null;
  max_position_embeddings: number;
  type_vocab_size: number;
  initializer_range: number;
  layer_norm_eps: number;
  pad_token_id: number;
  position_embedding_type: "absolute";
  /** Number of entries of id2label; 1 with regression. */
  num_labels: number;
  id2label: Record<string, string>;
  label2id: Record<string, number>;
  /** null: transformers decides by num_labels and the labels' type. */
  problem_type: (typeof PROBLEM_TYPES)[number] | null;
  /** Fields that limbeck does not use, kept for saving. */
  other?: Record<string, unknown>;
}

/** Facts about the file or the writer that no longer hold after training, or that name code or folders. */
const DROPPED = new Set([
  "architectures",
  "auto_map",
  "custom_pipelines",
  "dtype",
  "finetuning_task",
  "model_type",
  "name_or_path",
  "torch_dtype",
  "transformers_version",
]);

const wrong = (expected: string) => (issue: { input: unknown }) =>
  issue.input === undefined ? `missing; expected ${expected}` : `expected ${expected}, found ${quote(issue.input)}`;
const rule = <T>(expected: string, holds: (value: unknown) => boolean) =>
  v.custom<T>((value) => holds(value), wrong(expected));
const integer = (least: number) =>
  rule<number>(`an integer of at least ${least}`, (x) => Number.isSafeInteger(x) && (x as number) >= least);
const real = (expected: string, holds: (x: number) => boolean) =>
  rule<number>(expected, (x) => typeof x === "number" && Number.isFinite(x) && holds(x));
const probability = real("a number from 0 up to, not including, 1", (x) => x >= 0 && x < 1);
const oneOf = <T>(values: readonly T[]) =>
  rule<T>(`one of ${values.map((value) => JSON.stringify(value)).join(", ")}`, (x) => values.includes(x as T));
const absent = (why: string) => v.nullish(rule<unknown>(why, (x) => x === false || isEmpty(x)));
const isEmpty = (x: unknown) => isObject(x) && Object.keys(x).length === 0;

const FIELDS = {
  vocab_size: integer(1),
  hidden_size: integer(1),
  num_hidden_layers: integer(1),
  num_attention_heads: integer(1),
  intermediate_size: integer(1),
  hidden_act: v.optional(oneOf(HIDDEN_ACTS), "gelu"),
  hidden_dropout_prob: v.optional(probability, 0.1),
  attention_probs_dropout_prob: v.optional(probability, 0.1),
  classifier_dropout: v.nullish(probability, null),
  max_position_embeddings: integer(1),
  type_vocab_size: integer(1),
  initializer_range: v.optional(
    real("a positive number", (x) => x > 0),
    0.02,
  ),
  layer_norm_eps: v.optional(
    real("a positive number", (x) => x > 0),
    1e-12,
  ),
  pad_token_id: v.nullish(integer(0), 0),
  position_embedding_type: v.nullish(oneOf(["absolute"] as const), "absolute"),
  num_labels: v.nullish(integer(1)),
  id2label: v.nullish(
    rule<Record<string, string>>(
      "an object of label names",
      (x) => isObject(x) && Object.values(x).every((name) => typeof name === "string"),
    ),
  ),
  label2id: v.nullish(
    rule<Record<string, number>>(
      "an object of integers",
      (x) => isObject(x) && Object.values(x).every(Number.isSafeInteger),
    ),
  ),
  problem_type: v.nullish(oneOf(PROBLEM_TYPES), null),
  is_decoder: absent("false: limbeck has encoders only"),
  add_cross_attention: absent("false: limbeck has encoders only"),
  pruned_heads: absent("no pruned heads"),
  quantization_config: absent("no quantisation: save the model in float32"),
};

/** `where` is the file, for messages. All faults come in one error. */
export function parseConfig(text: string, where: string): BertConfig {
  const json = parseJson(text, { where });
  if (!isObject(json)) throw new InputError("INVALID_CONFIG", "expected a JSON object.", { where });
  if (json.model_type !== "bert") {
    throw new InputError(
      "UNSUPPORTED_MODEL_TYPE",
      `model_type: expected "bert", found ${json.model_type === undefined ? "nothing" : quote(json.model_type)}; limbeck reads "bert" so far ("distilbert" and "mobilebert" are to come).`,
      { where },
    );
  }
  const parsed = v.safeParse(v.object(FIELDS, wrong("a value")), json);
  if (!parsed.success) refuse(parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "?"}: ${issue.message}`));
  const { is_decoder, add_cross_attention, pruned_heads, quantization_config, ...fields } = parsed.output;

  const problems: string[] = [];
  if (fields.hidden_size % fields.num_attention_heads !== 0) {
    problems.push(
      `num_attention_heads: expected a divisor of hidden_size ${fields.hidden_size}, found ${fields.num_attention_heads}`,
    );
  }
  const labels = readLabels(fields, problems);
  if (fields.problem_type === "regression" && labels.length !== 1) {
    problems.push(`problem_type: regression has one output, found ${labels.length} labels`);
  }
  if (problems.length > 0) refuse(problems);

  const other: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(json)) {
    if (!Object.hasOwn(FIELDS, key) && !DROPPED.has(key) && !key.startsWith("_")) other[key] = value;
  }
  return { model_type: "bert", ...fields, ...labelMaps(labels), other };

  function refuse(faults: string[]): never {
    throw new InputError("INVALID_CONFIG", `${faults.join("; ")}.`, { where });
  }
}

/** The three fields that say the same, from the names in the order of their ids. */
export function labelMaps(labels: readonly string[]): Pick<BertConfig, "num_labels" | "id2label" | "label2id"> {
  // Without a prototype: a label may be called "__proto__".
  const id2label: Record<string, string> = Object.create(null);
  const label2id: Record<string, number> = Object.create(null);
  for (const [id, label] of labels.entries()) {
    id2label[id] = label;
    label2id[label] = id;
  }
  return { num_labels: labels.length, id2label, label2id };
}

/** Label names by id. transformers takes two, LABEL_0 and LABEL_1, where the file says nothing. */
function readLabels(
  { num_labels, id2label, label2id }: { [K in "num_labels" | "id2label" | "label2id"]?: BertConfig[K] | null },
  problems: string[],
): string[] {
  const fromIds = id2label ?? undefined;
  let labels: string[];
  if (fromIds) {
    const count = Object.keys(fromIds).length;
    labels = Array.from({ length: count }, (_, id) => fromIds[id]);
    const hole = labels.findIndex((_, id) => !Object.hasOwn(fromIds, id));
    if (count === 0) problems.push("id2label: empty; expected a name for each label");
    if (hole >= 0) problems.push(`id2label: expected the ids 0 to ${count - 1}, ${hole} is missing`);
    const twice = labels.find((label, id) => label !== undefined && labels.indexOf(label) !== id);
    if (twice !== undefined) problems.push(`id2label: the name ${quote(twice)} stands twice`);
  } else if (label2id && Object.keys(label2id).length > 0) {
    labels = Object.keys(label2id).sort((a, b) => label2id[a] - label2id[b]);
  } else {
    labels = Array.from({ length: num_labels ?? 2 }, (_, id) => `LABEL_${id}`);
  }
  if (num_labels != null && num_labels !== labels.length) {
    problems.push(`num_labels: found ${num_labels}, but the label map has ${labels.length} labels`);
  }
  if (label2id && Object.keys(label2id).length > 0) {
    const count = Object.keys(label2id).length;
    if (count !== labels.length) {
      problems.push(`label2id: has ${count} labels, id2label has ${labels.length}`);
    }
    const wrongId = labels.findIndex((label, id) => label !== undefined && label2id[label] !== id);
    if (wrongId >= 0) {
      const found = label2id[labels[wrongId]];
      problems.push(`label2id.${labels[wrongId]}: expected ${wrongId} as in id2label, found ${found ?? "nothing"}`);
    }
  }
  return labels;
}

/** config.json of a classifier; equal configurations give equal text. */
export function serializeConfig(config: BertConfig): string {
  const { other = {}, num_labels, ...fields } = config;
  const labels = Array.from({ length: num_labels }, (_, id) => config.id2label[id]);
  const { id2label, label2id } = labelMaps(labels);
  const json: JsonObject = Object.assign(Object.create(null), other, fields, {
    id2label,
    label2id,
    architectures: ["BertForSequenceClassification"],
    // transformers 5 reads dtype, 4 reads torch_dtype.
    dtype: "float32",
    torch_dtype: "float32",
  });
  const sorted: JsonObject = Object.create(null);
  for (const key of Object.keys(json).sort()) sorted[key] = json[key];
  return `${JSON.stringify(sorted, null, 2)}\n`;
}
