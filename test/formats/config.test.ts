import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { type ModelConfig, parseConfig, serializeConfig } from "../../src/models/index.ts";

const BASE = {
  model_type: "bert",
  vocab_size: 120,
  hidden_size: 48,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  intermediate_size: 96,
  max_position_embeddings: 64,
  type_vocab_size: 2,
};

const parse = (changes: Record<string, unknown> = {}) =>
  parseConfig(JSON.stringify({ ...BASE, ...changes }), "m/config.json");

function refusal(changes: Record<string, unknown>): InputError {
  try {
    parse(changes);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

test("what the file leaves out has transformers' defaults", () => {
  expect(parse()).toMatchObject({
    hidden_act: "gelu",
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    classifier_dropout: null,
    layer_norm_eps: 1e-12,
    initializer_range: 0.02,
    pad_token_id: 0,
    position_embedding_type: "absolute",
    problem_type: null,
    num_labels: 2,
    id2label: { 0: "LABEL_0", 1: "LABEL_1" },
    label2id: { LABEL_0: 0, LABEL_1: 1 },
  });
});

describe("refused [M6]", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["a missing field", { hidden_size: undefined }, "hidden_size: missing"],
    ["a string for a number", { vocab_size: "120" }, 'vocab_size: expected an integer of at least 1, found "120"'],
    ["a fraction", { num_hidden_layers: 2.5 }, "num_hidden_layers: expected an integer of at least 1, found 2.5"],
    ["no layers", { num_hidden_layers: 0 }, "num_hidden_layers: expected an integer of at least 1, found 0"],
    ["a negative width", { hidden_size: -48 }, "hidden_size: expected an integer of at least 1, found -48"],
    [
      "null for a width",
      { intermediate_size: null },
      "intermediate_size: expected an integer of at least 1, found null",
    ],
    ["heads that do not divide", { num_attention_heads: 5 }, "expected a divisor of hidden_size 48, found 5"],
    ["an unknown activation", { hidden_act: "swish" }, 'hidden_act: expected one of "gelu", "gelu_new"'],
    ["certain dropout", { hidden_dropout_prob: 1 }, "hidden_dropout_prob: expected a number from 0"],
    ["a negative epsilon", { layer_norm_eps: -1e-12 }, "layer_norm_eps: expected a positive number"],
    [
      "relative positions",
      { position_embedding_type: "relative_key" },
      'expected one of "absolute", found "relative_key"',
    ],
    ["a decoder", { is_decoder: true }, "is_decoder: expected false: limbeck has encoders only, found true"],
    ["pruned heads", { pruned_heads: { 0: [1] } }, "pruned_heads: expected no pruned heads"],
    ["quantised weights", { quantization_config: { bits: 4 } }, "quantization_config: expected no quantisation"],
    ["an unknown problem", { problem_type: "ranking" }, 'problem_type: expected one of "single_label'],
    ["a count unlike the map", { num_labels: 3, id2label: { 0: "a", 1: "b" } }, "num_labels: found 3"],
    ["a hole in the ids", { id2label: { 0: "a", 2: "c" } }, "id2label: expected the ids 0 to 1, 1 is missing"],
    ["ids from 1", { id2label: { 1: "a", 2: "b" } }, "id2label: expected the ids 0 to 1, 0 is missing"],
    ["an empty map", { id2label: {} }, "id2label: empty"],
    ["one name twice", { id2label: { 0: "a", 1: "a" } }, 'id2label: the name "a" stands twice'],
    ["a name that is a number", { id2label: { 0: 0, 1: 1 } }, "id2label: expected an object of label names"],
    [
      "maps that disagree",
      { id2label: { 0: "a", 1: "b" }, label2id: { a: 1, b: 0 } },
      "label2id.a: expected 0 as in id2label, found 1",
    ],
    [
      "a label that has no id",
      { id2label: { 0: "a", 1: "b" }, label2id: { a: 0, c: 1 } },
      "label2id.b: expected 1 as in id2label, found nothing",
    ],
    [
      "maps of two lengths",
      { id2label: { 0: "a" }, label2id: { a: 0, b: 1 } },
      "label2id: has 2 labels, id2label has 1",
    ],
    ["ids given twice", { label2id: { a: 0, b: 0 } }, "label2id.b: expected 1"],
    ["regression with two outputs", { problem_type: "regression" }, "regression has one output, found 2 labels"],
  ])("%s", (_name, changes, message) => {
    const error = refusal(changes);
    expect(error.code).toBe("INVALID_CONFIG");
    expect(error.message).toContain(message);
    expect(error.message.startsWith("m/config.json: ")).toBe(true);
  });

  test("all faults in one error", () => {
    expect(refusal({ vocab_size: "x", hidden_act: 3, type_vocab_size: undefined }).message).toMatch(
      /vocab_size: .*; hidden_act: .*; type_vocab_size: missing/,
    );
  });

  test.each(["roberta", "toString", undefined, 7])("model_type %j, naming what is supported", (model_type) => {
    const error = refusal({ model_type });
    expect(error.code).toBe("UNSUPPORTED_MODEL_TYPE");
    expect(error.message).toContain(`found ${model_type === undefined ? "nothing" : JSON.stringify(model_type)}`);
    expect(error.message).toMatch(/expected one of "bert", "distilbert"/);
  });

  test("text that is no object, and a field given twice", () => {
    expect(() => parseConfig("[]", "c")).toThrow(/c: expected a JSON object/);
    expect(() => parseConfig('{"model_type":"bert","model_type":"bert"}', "c")).toThrow(/stands twice/);
  });
});

test("labels come from id2label, from label2id, or from their number", () => {
  expect(parse({ id2label: { 1: "b", 0: "a" } }).label2id).toEqual({ a: 0, b: 1 });
  expect(parse({ label2id: { b: 1, a: 0 } }).id2label).toEqual({ 0: "a", 1: "b" });
  expect(parse({ num_labels: 3 }).id2label).toEqual({ 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" });
  expect(parse({ num_labels: 1, problem_type: "regression" }).num_labels).toBe(1);
});

test("labels called __proto__ and constructor are labels", () => {
  const config = parseConfig(
    JSON.stringify(BASE).replace("{", '{"id2label":{"0":"__proto__","1":"constructor"},'),
    "c",
  );
  expect(Object.entries(config.label2id)).toEqual([
    ["__proto__", 0],
    ["constructor", 1],
  ]);
  expect(parseConfig(serializeConfig(config), "c").id2label).toEqual(config.id2label);
});

describe("serializeConfig", () => {
  test("reads back as it was, unknown fields kept, claims about the old model dropped", () => {
    const config = parse({
      id2label: { 0: "neg", 1: "pos" },
      hidden_act: "gelu_new",
      use_cache: true,
      auto_map: { AutoModel: "evil.Model" },
      _name_or_path: "/home/somebody/model",
      transformers_version: "4.8.2",
      architectures: ["BertForMaskedLM"],
      torch_dtype: "float16",
    });
    const text = serializeConfig(config);
    expect(parseConfig(text, "c")).toEqual(config);
    const json = JSON.parse(text);
    expect(json).toMatchObject({
      model_type: "bert",
      architectures: ["BertForSequenceClassification"],
      id2label: { 0: "neg", 1: "pos" },
      label2id: { neg: 0, pos: 1 },
      dtype: "float32",
      torch_dtype: "float32",
      use_cache: true,
    });
    for (const key of ["auto_map", "_name_or_path", "transformers_version", "num_labels", "other"]) {
      expect(json).not.toHaveProperty(key);
    }
  });

  test("equal configurations give equal text, whatever the order of their fields", () => {
    const config = parse();
    const reversed = Object.fromEntries(Object.entries(config).reverse()) as unknown as ModelConfig;
    expect(serializeConfig(reversed)).toBe(serializeConfig(config));
    expect(serializeConfig({ ...config, ...labelMaps(["x"]) })).not.toBe(serializeConfig(config));
  });
});
