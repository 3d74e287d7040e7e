// MobileBERT and IB-BERT: parity with transformers, their sizes, what a fresh one takes of its teacher, and their folders.

import { describe, expect, test } from "vitest";
import { memoryFiles } from "../../src/formats/files.ts";
import { readModelFolder, writeModelFolder } from "../../src/formats/huggingface.ts";
import { families, familyOf, parseConfig } from "../../src/models/index.ts";
import { ibbert, type MobilebertConfig, mobilebert } from "../../src/models/mobilebert.ts";
import { freshWeights } from "../../src/train/model.ts";
import { freshStudent, parseStudent, pruneLayers, type StudentSpec } from "../../src/train/student.ts";
import { fixtureBytes } from "../fixtures/read.ts";
import { bodyParameters, COMMON, equalsTransformers } from "./parity.ts";

equalsTransformers("mobilebert", [
  ["mobilebert-a", 0],
  ["mobilebert-b", 2],
  ["mobilebert-c", 1],
  ["ibbert-a", 1],
]);

const text = (name: string) => new TextDecoder().decode(fixtureBytes(name));
const config = (name: string) => parseConfig(text(`${name}/config.json`), name) as MobilebertConfig;
const PAPER = { layers: 24, width: 512, heads: 4 };

// Of the body as transformers counts: the students have no pooler. What it says of MobileBERT-tiny is a little more than its paper.
test.each([
  ["MobileBERT", mobilebert.sized({ ...PAPER, inner: 512, inside: 128 }, COMMON), 24_581_888],
  ["IB-BERT-large", ibbert.sized({ ...PAPER, inner: 4096, inside: 1024 }, COMMON), 294_467_840],
  [
    "MobileBERT-tiny",
    {
      ...mobilebert.sized({ ...PAPER, inner: 512, inside: 128, forwards: 2 }, COMMON),
      ...{ use_bottleneck_attention: true, key_query_shared_bottleneck: false },
    },
    15_485_696,
  ],
])("%s has as many parameters as its configuration counts", (_, sized, expected) => {
  expect(bodyParameters(sized)).toBe(expected);
});

test.each(["mobilebert-a", "mobilebert-b", "mobilebert-c", "ibbert-a"])(
  "the folder of %s comes back as it was",
  async (name) => {
    const folder = memoryFiles({
      "config.json": text(`${name}/config.json`),
      "model.safetensors": fixtureBytes(`${name}/model.safetensors`),
    });
    const { config: read, tensors } = await readModelFolder(folder, families);
    const names = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"];
    const files = memoryFiles();
    await writeModelFolder(files, {
      ...{ config: read, format: familyOf(read), weights: tensors, readme: "" },
      tokenizerFiles: new Map(names.map((file) => [file, "{}"])),
    });
    const json = async (file: string) => JSON.parse(new TextDecoder().decode(await files.read(file)));
    const { transformers_version: _, ...original } = JSON.parse(text(`${name}/config.json`));
    expect(await json("config.json")).toEqual({ ...original, torch_dtype: "float32" });
    const tokenizer = name.startsWith("ibbert") ? "BertTokenizer" : "MobileBertTokenizer";
    expect((await json("tokenizer_config.json")).tokenizer_class).toBe(tokenizer);
    expect((await readModelFolder(files, families)).tensors).toEqual(tensors);
  },
);

describe("configurations", () => {
  const given = (name: string, change: object) => () =>
    parseConfig(JSON.stringify({ ...JSON.parse(text(`${name}/config.json`)), ...change }), name);

  test("what the file leaves out is as in transformers, or as the authors' teacher has it", () => {
    const sizes = { hidden_size: 512, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 512 };
    const bare = { vocab_size: 9, max_position_embeddings: 8, ...sizes };
    expect(parseConfig(JSON.stringify({ ...bare, model_type: "mobilebert" }), "m")).toMatchObject({
      ...{ hidden_act: "relu", classifier_activation: true, normalization_type: "no_norm", trigram_input: true },
      ...{ intra_bottleneck_size: 128, num_feedforward_networks: 4, key_query_shared_bottleneck: true },
    });
    expect(parseConfig(JSON.stringify({ ...bare, model_type: "ibbert" }), "t")).toMatchObject({
      ...{ hidden_act: "gelu", classifier_activation: true, normalization_type: "layer_norm", trigram_input: true },
      ...{ intra_bottleneck_size: 1024, num_feedforward_networks: 1, key_query_shared_bottleneck: false },
    });
  });

  test.each([
    ["mobilebert-a", { num_attention_heads: 3 }, "expected a divisor of intra_bottleneck_size 16, found 3"],
    ["mobilebert-c", { num_attention_heads: 3 }, "expected a divisor of hidden_size 20, found 3"],
    ["mobilebert-a", { true_hidden_size: 24 }, "true_hidden_size: expected 16 as intra_bottleneck_size says, found 24"],
    ["mobilebert-a", { normalization_type: "rms" }, 'normalization_type: expected one of "no_norm", "layer_norm"'],
    ["mobilebert-a", { key_query_shared_bottleneck: false }, 'write model_type "ibbert" for such a model'],
  ])("%s with %j is refused", (name, change, message) => {
    expect(given(name, change)).toThrow(message);
  });
});

describe("a fresh one", () => {
  const spec = (written: string) => parseStudent(written) as StudentSpec & { kind: "fresh" };
  const body = (name: string) => ({ config: config(name), weights: freshWeights(config(name), 1) });
  const fresh = (written: string, like: string) =>
    freshStudent(spec(written), { like: body(like), pair: false, seed: 3 });
  const words = "mobilebert.embeddings.word_embeddings.weight";

  test("has the sizes that are written, the rest as its paper, the heads of its teacher", () => {
    expect(fresh("mobilebert:6x26x8", "bert-b").config).toMatchObject({
      ...{ model_type: "mobilebert", num_hidden_layers: 6, hidden_size: 26, intra_bottleneck_size: 8 },
      ...{ num_attention_heads: 2, intermediate_size: 32, num_feedforward_networks: 4, embedding_size: 128 },
      ...{ true_hidden_size: 8, classifier_activation: false, vocab_size: 61, num_labels: 3 },
    });
    expect(fresh("ibbert:6x26x64x4x48x2", "bert-b").config).toMatchObject({
      ...{ model_type: "ibbert", num_hidden_layers: 6, hidden_size: 26, intra_bottleneck_size: 64 },
      ...{ num_attention_heads: 4, intermediate_size: 48, num_feedforward_networks: 2, hidden_act: "gelu" },
    });
    expect(() => fresh("mobilebert:6x26x9", "bert-b")).toThrow(
      "2 heads do not divide a width of 9; write mobilebert:6x26x9xH with H one of 1, 3, 9",
    );
    for (const written of ["mobilebert:6x26", "ibbert:6", "mobilebert:1x2x3x4x5x6x7"])
      expect(() => parseStudent(written), written).toThrow("mobilebert:LxDxT[xHxFxN]");
  });

  test("takes the embeddings of an IB-BERT as far as they fit, and of no BERT", () => {
    const teacher = body("ibbert-a");
    const { config: own, weights } = fresh("mobilebert:2x20x6", "ibbert-a");
    expect(own).toMatchObject({ model_type: "mobilebert", embedding_size: 9, normalization_type: "no_norm" });
    const taken = [...weights].filter(([path, { data }]) => `${data}` === `${teacher.weights.get(path)?.data}`);
    const equal = [...teacher.weights.keys()].filter((path) => path.includes("embeddings."));
    expect(taken.map(([path]) => path)).toEqual(expect.arrayContaining(equal));
    expect(weights.get(words)?.data).not.toBe(teacher.weights.get(words)?.data);
    const other = fresh("mobilebert:2x24x6", "ibbert-a").weights;
    expect(other.get(words)?.data).toEqual(teacher.weights.get(words)?.data);
    expect(other.get("mobilebert.embeddings.position_embeddings.weight")?.shape).toEqual([40, 24]);
  });

  test("layers of one are the same model with fewer", () => {
    for (const name of ["mobilebert-a", "mobilebert-c", "ibbert-a"]) {
      const whole = body(name);
      const pruned = pruneLayers(whole, [1]);
      const T = name === "mobilebert-c" ? 20 : whole.config.intra_bottleneck_size;
      expect(pruned.config).toEqual({ ...whole.config, num_hidden_layers: 1, true_hidden_size: T });
      expect([...pruned.weights.keys()].sort()).toEqual([...freshWeights(pruned.config, 1).keys()].sort());
    }
  });
});
