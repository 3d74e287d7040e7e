// config.json, under Hugging Face's own field names: what all families of models have, and how a family adds its own fields.
// Every field that shapes the computation is checked; a field that would change it and is not supported is refused.
import * as v from "valibot";
import { InputError } from "../errors.ts";
import { quote } from "./files.ts";
import { isObject, type JsonObject, parseJson } from "./json.ts";

/** What a model is for: which heads stand on its body. */
export type Task = "classification" | "maskedLm";

const PROBLEM_TYPES = ["single_label_classification", "multi_label_classification", "regression"] as const;

/** What every model's configuration has. */
export interface CommonConfig {
  model_type: string;
  vocab_size: number;
  max_position_embeddings: number;
  initializer_range: number;
  pad_token_id: number;
  /** Number of entries of id2label; 1 with regression. */
  num_labels: number;
  id2label: Record<string, string>;
  label2id: Record<string, number>;
  /** null: transformers decides by num_labels and the labels' type. */
  problem_type: (typeof PROBLEM_TYPES)[number] | null;
  /** Classification unless given; none: the body alone. Files say it by their tensors, and by the name of a class. */
  tasks?: readonly Task[];
  /** Fields that limbeck does not use, kept for saving. */
  other?: Record<string, unknown>;
}

type OwnFields<C> = { readonly [K in Exclude<keyof C, keyof CommonConfig>]-?: v.GenericSchema<unknown, C[K]> };

/** The configuration of one family. */
export interface ConfigSchema<C extends CommonConfig> {
  /** Its `model_type`. */
  readonly type: C["model_type"];
  /** transformers' class for sequence classification, for saving. */
  readonly architecture: string;
  /** Its class for the body alone. */
  readonly body: string;
  /** Its masked-LM head, where the family has one. */
  readonly maskedLm?: {
    /** transformers' class, for saving. */
    readonly architecture: string;
    /** What its tensors begin with. */
    readonly parts: readonly string[];
    /** Names under which files repeat another tensor, or have it instead. */
    readonly tied: Readonly<Record<string, string>>;
  };
  readonly fields: OwnFields<C>;
  /** What is wrong between fields that are right by themselves. */
  faults?(fields: C): string[];
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

// What fields may be, for the families as well.
export const integer = (least: number) =>
  rule<number>(`an integer of at least ${least}`, (x) => Number.isSafeInteger(x) && (x as number) >= least);
const real = (expected: string, holds: (x: number) => boolean) =>
  rule<number>(expected, (x) => typeof x === "number" && Number.isFinite(x) && holds(x));
export const positive = real("a positive number", (x) => x > 0);
export const probability = real("a number from 0 up to, not including, 1", (x) => x >= 0 && x < 1);
export const flag = rule<boolean>("true or false", (x) => typeof x === "boolean");
export const oneOf = <T>(values: readonly T[]) =>
  rule<T>(`one of ${values.map((value) => JSON.stringify(value)).join(", ")}`, (x) => values.includes(x as T));
const absent = (why: string) => v.nullish(rule<unknown>(why, (x) => x === false || isEmpty(x)));
const isEmpty = (x: unknown) => isObject(x) && Object.keys(x).length === 0;

const MOST_LABELS = 5000;

const COMMON = {
  vocab_size: integer(1),
  max_position_embeddings: integer(1),
  initializer_range: v.optional(positive, 0.02),
  pad_token_id: v.nullish(integer(0), 0),
  // A label without a name takes memory as well.
  num_labels: v.nullish(
    rule<number>(
      `an integer from 1 to ${MOST_LABELS}`,
      (x) => Number.isSafeInteger(x) && (x as number) >= 1 && (x as number) <= MOST_LABELS,
    ),
  ),
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

/** The configuration and the one of `schemas` that it is of. `where` is the file, for messages. All faults come in one error. */
export function parseConfigOf<C extends CommonConfig, S extends ConfigSchema<C>>(
  text: string,
  where: string,
  schemas: ReadonlyMap<string, S>,
): { config: C; schema: S } {
  const json = parseJson(text, { where });
  if (!isObject(json)) throw new InputError("INVALID_CONFIG", "expected a JSON object.", { where });
  const schema = schemas.get(json.model_type as string);
  if (!schema) {
    const known = [...schemas.keys()].map((type) => JSON.stringify(type)).join(", ");
    throw new InputError(
      "UNSUPPORTED_MODEL_TYPE",
      `model_type: expected one of ${known}, found ${json.model_type === undefined ? "nothing" : quote(json.model_type)}; limbeck has no other models.`,
      { where },
    );
  }
  const entries = { ...COMMON, ...schema.fields };
  const parsed = v.safeParse(v.object(entries, wrong("a value")), json);
  if (!parsed.success) refuse(parsed.issues.map((issue) => `${v.getDotPath(issue) ?? "?"}: ${issue.message}`));
  const { is_decoder, add_cross_attention, pruned_heads, quantization_config, ...fields } = parsed.output;

  const known = fields as unknown as C;
  const problems = schema.faults?.(known) ?? [];
  const labels = readLabels(known, problems);
  if (fields.problem_type === "regression" && labels.length !== 1) {
    problems.push(`problem_type: regression has one output, found ${labels.length} labels`);
  }
  if (problems.length > 0) refuse(problems);

  const other: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(json)) {
    if (!Object.hasOwn(entries, key) && !DROPPED.has(key) && !key.startsWith("_")) other[key] = value;
  }
  return { config: { ...known, model_type: schema.type, ...labelMaps(labels), other }, schema };

  function refuse(faults: string[]): never {
    throw new InputError("INVALID_CONFIG", `${faults.join("; ")}.`, { where });
  }
}

/** Heads that share the width. */
export function headsFault(name: string, heads: number, widthName: string, width: number): string[] {
  return width % heads === 0 ? [] : [`${name}: expected a divisor of ${widthName} ${width}, found ${heads}`];
}

/** The three fields that say the same, from the names in the order of their ids. */
export function labelMaps(labels: readonly string[]): Pick<CommonConfig, "num_labels" | "id2label" | "label2id"> {
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
  { num_labels, id2label, label2id }: { [K in "num_labels" | "id2label" | "label2id"]?: CommonConfig[K] | null },
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
    const names = new Set<string>();
    const twice = labels.find((label) => label !== undefined && names.size === names.add(label).size);
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

export function does(task: Task, { tasks = ["classification"] }: Pick<CommonConfig, "tasks">): boolean {
  return tasks.includes(task);
}

function architectureOf(
  { architecture, maskedLm, body }: Pick<ConfigSchema<CommonConfig>, "architecture" | "maskedLm" | "body">,
  tasks: CommonConfig["tasks"],
): string {
  if (does("classification", { tasks })) return architecture;
  return does("maskedLm", { tasks }) && maskedLm ? maskedLm.architecture : body;
}

/** config.json; equal configurations give equal text. */
export function serializeConfigOf<C extends CommonConfig>(config: C, schema: ConfigSchema<C>): string {
  const { other = {}, num_labels, tasks, ...fields } = config;
  const labels = Array.from({ length: num_labels }, (_, id) => config.id2label[id]);
  const { id2label, label2id } = labelMaps(labels);
  const json: JsonObject = Object.assign(Object.create(null), other, fields, {
    id2label,
    label2id,
    architectures: [architectureOf(schema, tasks)],
    // transformers 5 reads dtype, 4 reads torch_dtype.
    dtype: "float32",
    torch_dtype: "float32",
  });
  const sorted: JsonObject = Object.create(null);
  for (const key of Object.keys(json).sort()) sorted[key] = json[key];
  return `${JSON.stringify(sorted, null, 2)}\n`;
}
