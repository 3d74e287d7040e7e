// DistilBERT: parity with transformers, its size, what it is made from, and what it does not have.

import { describe, expect, test } from "vitest";
import { ReferenceExecutor } from "../../src/executors/reference.ts";
import { memoryFiles } from "../../src/formats/files.ts";
import { readModelFolder, writeModelFolder } from "../../src/formats/huggingface.ts";
import { distilbert } from "../../src/models/distilbert.ts";
import { batchValues, shown } from "../../src/models/features.ts";
import { families, parseConfig, traceModel } from "../../src/models/index.ts";
import { keep } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Scope } from "../../src/program/scope.ts";
import { freshWeights, type Tensor, type Weights } from "../../src/train/model.ts";
import { parametersOf } from "../../src/train/programs.ts";
import { cutStudent, freshStudent, parseStudent, pruneLayers, type StudentSpec } from "../../src/train/student.ts";
import { placeWeights, shapeOf, writeBatch } from "../../src/train/trainer.ts";
import { fixtureBytes, fixtureJson, fixtureMasked } from "../fixtures/read.ts";
import { bodyParameters, COMMON, equalsTransformers } from "./parity.ts";

equalsTransformers("distilbert", [
  ["distilbert-a", 0],
  ["distilbert-b", 2],
]);

const size = { layers: 6, width: 768, heads: 12, inner: 3072 };
const text = (name: string) => new TextDecoder().decode(fixtureBytes(name));
const config = parseConfig(text("distilbert-a/config.json"), "distilbert-a");

test("DistilBERT has as many parameters as its paper counts", () => {
  expect(bodyParameters(distilbert.sized(size, COMMON))).toBe(66_362_880);
});

test("its folder is written as transformers writes it, tokenizer class included [E1]", async () => {
  const folder = memoryFiles({
    "config.json": text("distilbert-a/config.json"),
    "model.safetensors": fixtureBytes("distilbert-a/model.safetensors"),
  });
  const { tensors } = await readModelFolder(folder, families);
  const names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];
  const tokenizerFiles = new Map(names.map((name) => [name, "{}"]));
  const files = memoryFiles();
  await writeModelFolder(files, { config, format: distilbert, weights: tensors, tokenizerFiles, readme: "" });
  const read = async (name: string) => JSON.parse(new TextDecoder().decode(await files.read(name)));
  const original = JSON.parse(text("distilbert-a/config.json"));
  delete original.transformers_version;
  expect(await read("config.json")).toEqual({
    ...original,
    problem_type: "single_label_classification",
    torch_dtype: "float32",
  });
  expect((await read("tokenizer_config.json")).tokenizer_class).toBe("DistilBertTokenizer");
  expect((await readModelFolder(files, families)).tensors).toEqual(tensors);
});

test("a checkpoint of the body alone gets its prefix, the masked-LM head is left aside", async () => {
  const folder = memoryFiles({
    "config.json": text("distilbert-a/config.json"),
    "model.safetensors": fixtureBytes("distilbert-a/model.safetensors"),
  });
  const { tensors } = await readModelFolder(folder, families);
  const bare = new Map([...tensors].map(([name, tensor]) => [name.replace(/^distilbert\./, ""), tensor]));
  bare.set("vocab_projector.bias", { shape: [1], data: new Float32Array(1) });
  const files = memoryFiles();
  const tokenizerFiles = new Map(
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"].map((name) => [name, "{}"]),
  );
  await writeModelFolder(files, { config, format: distilbert, weights: bare, tokenizerFiles, readme: "" });
  const back = await readModelFolder(files, families);
  expect([...back.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
  expect(back.notes).toEqual(["the pre-training head (vocab_projector.*, 1 tensors) was left aside."]);
});

test("layers are cut out with the head", () => {
  const weights = freshWeights(config, 1);
  const pruned = pruneLayers({ config, weights }, [0, 2]);
  expect(pruned.config).toEqual({ ...config, n_layers: 2 });
  const at = (layer: number) => `distilbert.transformer.layer.${layer}.ffn.lin1.weight`;
  expect(pruned.weights.get(at(1))).toBe(weights.get(at(2)));
  expect(pruned.weights.has(at(2))).toBe(false);
  expect(pruned.weights.get("pre_classifier.weight")).toBe(weights.get("pre_classifier.weight"));
  expect([...pruned.weights.keys()].sort()).toEqual([...freshWeights(pruned.config, 1).keys()].sort());
});

test("a fresh one of another family's teacher has its vocabulary, lengths and labels", () => {
  const teacher = parseConfig(text("bert-a/config.json"), "bert-a");
  const spec = parseStudent("distilbert:2x24x4") as StudentSpec & { kind: "fresh" };
  const like = { config: teacher, weights: freshWeights(teacher, 1) };
  const student = freshStudent(spec, { like, pair: false, seed: 3 });
  expect(student.config).toMatchObject({
    ...{ model_type: "distilbert", n_layers: 2, dim: 24, n_heads: 4, hidden_dim: 96, sinusoidal_pos_embds: false },
    ...{ vocab_size: 99, max_position_embeddings: 40, id2label: { 0: "negative", 1: "positive" } },
  });
  const norm = student.weights.get("distilbert.transformer.layer.1.sa_layer_norm.weight");
  expect(norm?.data.every((x) => x === 1)).toBe(true);
});

describe("made of a BERT's layers", () => {
  const teacher = { ...parseConfig(text("distilbert/teacher/config.json"), "t"), tasks: ["maskedLm" as const] };
  const source = { config: teacher, weights: freshWeights(teacher, 1) };
  const spec = (student: string) => parseStudent(student) as StudentSpec & { kind: "layers" };

  test("names, numbers and the masked-LM head go over; what has no counterpart stays behind", () => {
    const { config: made, weights } = cutStudent(spec("distilbert:layers:2"), source);
    expect(made).toMatchObject({
      model_type: "distilbert",
      n_layers: 2,
      dim: 24,
      n_heads: 4,
      hidden_dim: 36,
      dropout: 0,
    });
    const expected = parametersOf({ ...made, tasks: ["maskedLm"] });
    expect([...weights].map(([path, { shape }]) => [path, shape]).sort()).toEqual(
      [...expected].map(([path, shape]) => [path, [...shape]]).sort(),
    );
    const of = (path: string) => source.weights.get(path);
    expect(weights.get("distilbert.transformer.layer.1.ffn.lin2.weight")).toBe(
      of("bert.encoder.layer.3.output.dense.weight"),
    );
    expect(weights.get("distilbert.transformer.layer.0.attention.k_lin.bias")).toBe(
      of("bert.encoder.layer.0.attention.self.key.bias"),
    );
    expect(weights.get("vocab_projector.bias")).toBe(of("cls.predictions.bias"));
  });

  test("it computes what BERT does when segments add nothing", async () => {
    const weights = new Map(source.weights);
    const segments = weights.get("bert.embeddings.token_type_embeddings.weight") as Tensor;
    weights.set("bert.embeddings.token_type_embeddings.weight", { ...segments, data: segments.data.map(() => 0) });
    const student = cutStudent(spec("distilbert:layers:0,1,2,3"), { config: teacher, weights });
    const batch = fixtureMasked(fixtureJson("distilbert.json").batches[0]);
    const rows = async ({ config: of, weights: own }: { config: typeof config; weights: Weights }) => {
      const trace = new Trace();
      const features = traceModel(
        new Scope(trace, "m", false),
        { ...of, tasks: ["maskedLm"] },
        batchValues(trace, shapeOf(batch)),
      );
      const kept = keep(shown(features, "m").vocabulary.rows, "rows");
      const executor = new ReferenceExecutor();
      placeWeights(executor, "m", own);
      const program = executor.load(trace.finish("rows"));
      writeBatch(executor, batch, [program]);
      executor.run(program);
      return Array.from(await executor.read(kept));
    };
    expect(await rows(student)).toEqual(await rows({ config: teacher, weights }));
  });

  test("chosen layers, its own family, and a family that cannot be", () => {
    expect(spec("distilbert:layers:0,3")).toEqual({ kind: "layers", layers: [0, 3], type: "distilbert" });
    const own = cutStudent(spec("distilbert:layers:2"), { config, weights: freshWeights(config, 1) });
    expect(own.config).toMatchObject({ n_layers: 2 });
    expect(() => cutStudent(spec("distilbert:layers:5"), source)).toThrow("layer 4 does not exist");
    expect(() => parseStudent("bert:layers:2")).toThrow(/"bert:layers:2" is not understood; .*distilbert:layers:K/);
    const lstm = parseConfig(text("bilstm-a/config.json"), "l");
    expect(() => cutStudent(spec("distilbert:layers:1"), { config: lstm, weights: new Map() })).toThrow(
      "a distilbert cannot be made of layers of a bilstm",
    );
  });
});

test("sinusoidal positions begin as transformers makes them", () => {
  const weights = freshWeights({ ...config, sinusoidal_pos_embds: true } as typeof config, 1);
  const { data } = weights.get("distilbert.embeddings.position_embeddings.weight")!;
  for (const [position, j] of [
    [0, 0],
    [0, 1],
    [3, 0],
    [39, 17],
    [39, 30],
  ]) {
    const angle = position / 10000 ** ((2 * Math.floor(j / 2)) / 32);
    expect(data[position * 32 + j]).toBeCloseTo(j % 2 === 0 ? Math.sin(angle) : Math.cos(angle), 6);
  }
});

test("a recipe that reads its pooler's output is told that there is none", () => {
  const trace = new Trace();
  const batch = batchValues(trace, { sequences: 1, rows: 64, longest: 16 });
  const features = shown(traceModel(new Scope(trace, "s", false), config, batch), "a student of type distilbert");
  expect(features.hidden).toHaveLength(3);
  expect(() => features.pooled).toThrow("a student of type distilbert has no pooled, which the recipe reads");
});
