import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { labelMaps } from "../../src/formats/config.ts";
import { type Files, memoryFiles } from "../../src/formats/files.ts";
import { matchTensors, type OutputModel, readModelFolder, writeModelFolder } from "../../src/formats/huggingface.ts";
import { parseSafetensors, serializeSafetensors, type Tensor } from "../../src/formats/safetensors.ts";
import { families, type ModelConfig, parseConfig } from "../../src/models/index.ts";

const CONFIG = JSON.stringify({
  model_type: "bert",
  architectures: ["BertForSequenceClassification"],
  vocab_size: 6,
  hidden_size: 2,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  intermediate_size: 2,
  max_position_embeddings: 4,
  type_vocab_size: 2,
});
const VOCAB = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n";

const tensor = (shape: number[], fill = 0.5): Tensor => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill),
});
const file = (names: Record<string, Tensor>) => serializeSafetensors(new Map(Object.entries(names)));
const folder = (files: Record<string, string | Uint8Array>) => memoryFiles({ "config.json": CONFIG, ...files }, "m");
const weights = (names: Record<string, Tensor>) => folder({ "model.safetensors": file(names) });

/** A safetensors file of one tensor of another dtype. */
function rawFile(name: string, dtype: string, shape: number[], data: Uint8Array): Uint8Array {
  const header = new TextEncoder().encode(
    `{"${name}":{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[0,${data.length}]}}`,
  );
  const bytes = new Uint8Array(8 + header.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  bytes.set(data, 8 + header.length);
  return bytes;
}

async function refusal(files: Files, options = {}): Promise<InputError> {
  try {
    await readModelFolder(files, families, options);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error("the folder was accepted");
}

describe("readModelFolder", () => {
  test("reads the configuration, the weights and what there is of the tokenizer", async () => {
    const files = folder({
      "model.safetensors": file({ "bert.pooler.dense.bias": tensor([2], 3) }),
      "vocab.txt": VOCAB,
      "tokenizer_config.json": '{"vocab_file": "../../secret"}',
      "evil.py": "import os",
    });
    const model = await readModelFolder(files, families);
    expect(model.config).toMatchObject({ hidden_size: 2 });
    expect([...model.tensors]).toEqual([["bert.pooler.dense.bias", { shape: [2], data: Float32Array.of(3, 3) }]]);
    expect([...model.tokenizerFiles.keys()]).toEqual(["tokenizer_config.json", "vocab.txt"]);
    expect(model.tokenizerFiles.get("vocab.txt")).toBe(VOCAB);
    expect(model.notes).toEqual([]);
  });

  test("opens nothing that is not on its list [M9]", async () => {
    const files = weights({ w: tensor([1]) });
    const opened = new Set<string>();
    const read = (name: string) => {
      opened.add(name);
      return files.read(name);
    };
    await readModelFolder({ ...files, read }, families);
    expect([...opened]).toEqual(["config.json", "model.safetensors"]);
  });

  test("names become canonical [M5]", async () => {
    const { tensors, notes } = await readModelFolder(
      weights({
        "embeddings.LayerNorm.gamma": tensor([2], 1),
        "embeddings.LayerNorm.beta": tensor([2], 2),
        "encoder.layer.0.output.dense.weight": tensor([2, 2], 3),
        "bert.pooler.dense.bias": tensor([2], 4),
        "classifier.bias": tensor([2], 5),
        "embeddings.position_ids": tensor([1, 4]),
        "bert.embeddings.token_type_ids": tensor([1, 4]),
        "cls.predictions.bias": tensor([6]),
        "cls.seq_relationship.bias": tensor([2]),
      }),
      families,
    );
    expect(Object.fromEntries([...tensors].map(([name, { data }]) => [name, data[0]]))).toEqual({
      "bert.embeddings.LayerNorm.weight": 1,
      "bert.embeddings.LayerNorm.bias": 2,
      "bert.encoder.layer.0.output.dense.weight": 3,
      "bert.pooler.dense.bias": 4,
      "classifier.bias": 5,
    });
    expect(notes).toEqual(["the pre-training head (cls.*, 2 tensors) was left aside."]);
  });

  test.each([
    ["bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"],
    ["embeddings.LayerNorm.bias", "bert.embeddings.LayerNorm.beta"],
    ["pooler.dense.bias", "bert.pooler.dense.bias"],
  ])("%s beside %s is refused", async (a, b) => {
    const error = await refusal(weights({ [a]: tensor([2]), [b]: tensor([2]) }));
    expect(error.code).toBe("AMBIGUOUS_TENSOR");
    expect(error.message).toContain(a);
    expect(error.message).toContain(b);
  });

  test("halves are converted with a note, integers refused by name, integer buffers ignored [M4]", async () => {
    const read = (name: string, dtype: string, data: Uint8Array) =>
      folder({ "model.safetensors": rawFile(name, dtype, [1], data) });
    const model = await readModelFolder(read("w", "F16", Uint8Array.of(0x00, 0x3c)), families);
    expect([...model.tensors.get("w")!.data]).toEqual([1]);
    expect(model.notes).toEqual(["1 tensors were converted from F16 to F32."]);

    const error = await refusal(read("bert.w", "I64", new Uint8Array(8)));
    expect(error.code).toBe("UNSUPPORTED_DTYPE");
    expect(error.message).toMatch(/^m, tensor "bert.w": its dtype is I64/);

    const { tensors } = await readModelFolder(read("bert.embeddings.position_ids", "I64", new Uint8Array(8)), families);
    expect(tensors.size).toBe(0);
  });

  test("NaN is refused with tensor and index, unless it is allowed [M10]", async () => {
    const bad = tensor([2, 2]);
    bad.data[3] = Number.NaN;
    const files = weights({ fine: tensor([1]), "bert.w": bad });
    const error = await refusal(files);
    expect(error.code).toBe("NONFINITE_WEIGHTS");
    expect(error.message).toMatch(/^m, tensor "bert.w": element 3 of 4 is NaN/);
    expect((await readModelFolder(files, families, { allowNonfinite: true })).tensors.get("bert.w")!.data[3]).toBeNaN();
  });

  test.each<[string, Record<string, string>, string, RegExp]>([
    ["no weights", {}, "NO_WEIGHTS", /expected model\.safetensors, found none/],
    [
      "only a pickle",
      { "pytorch_model.bin": "PK" },
      "NO_SAFETENSORS",
      /python -c "from transformers import BertForSequenceClassification; .*safe_serialization=True/,
    ],
    ["only TensorFlow's", { "tf_model.h5": "" }, "NO_SAFETENSORS", /from_tf=True/],
    [
      "a pointer for config.json",
      { "config.json": "version https://git-lfs.github.com/spec/v1\n" },
      "LFS_POINTER",
      /pull/,
    ],
  ])("%s", async (_name, files, code, message) => {
    const error = await refusal(folder(files));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test("no folder, and a folder without config.json", async () => {
    expect(await refusal(memoryFiles())).toMatchObject({ code: "FOLDER_NOT_FOUND" });
    expect(await refusal(memoryFiles({ "model.safetensors": "" }))).toMatchObject({ code: "NO_CONFIG" });
  });
});

describe("shards", () => {
  const index = (map: Record<string, unknown>) => JSON.stringify({ metadata: {}, weight_map: map });
  const one = "model-00001-of-00002.safetensors";
  const two = "model-00002-of-00002.safetensors";
  const shards = {
    [one]: file({ a: tensor([1], 1), b: tensor([1], 2) }),
    [two]: file({ c: tensor([1], 3) }),
  };
  const sharded = (map: Record<string, unknown>, files: Record<string, Uint8Array> = shards) =>
    folder({ "model.safetensors.index.json": index(map), ...files });

  test("are read as one", async () => {
    const { tensors } = await readModelFolder(sharded({ a: one, b: one, c: two }), families);
    expect([...tensors].map(([name, { data }]) => [name, data[0]])).toEqual([
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
  });

  test.each<[string, Files, string, RegExp]>([
    ["a shard is missing", sharded({ a: one, b: one, c: "gone.safetensors" }), "MISSING_SHARD", /gone\.safetensors/],
    ["a path leads out", sharded({ a: "../../x.safetensors" }), "UNSAFE_FILE_NAME", /not a plain file name/],
    ["a path is absolute", sharded({ a: "/etc/x.safetensors" }), "UNSAFE_FILE_NAME", /not a plain file name/],
    ["a shard is a pickle", sharded({ a: "pytorch_model.bin" }), "INVALID_INDEX", /"a" to "pytorch_model\.bin"/],
    ["a shard is a number", sharded({ a: 1 }), "INVALID_INDEX", /"a" to 1/],
    ["a tensor is not in its shard", sharded({ a: one, b: one, c: two, d: two }), "INVALID_INDEX", /"d".*lacks it/],
    ["a shard holds more", sharded({ a: one, c: two }), "INVALID_INDEX", /holds "b"/],
    ["a tensor is in another shard", sharded({ a: one, b: two, c: two }), "INVALID_INDEX", /holds "b"/],
    ["there is no map", folder({ "model.safetensors.index.json": "{}" }), "INVALID_INDEX", /expected weight_map/],
  ])("are refused when %s", async (_name, files, code, message) => {
    const error = await refusal(files);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.where).toBe("m/model.safetensors.index.json");
  });
});

describe("matchTensors", () => {
  const expected = [
    { name: "bert.w", shape: [2, 3] },
    { name: "classifier.weight", shape: [2, 2] },
    { name: "classifier.bias", shape: [2] },
  ];
  const fresh = (name: string) => name.startsWith("classifier.");
  const found = (names: Record<string, number[]>) =>
    new Map(Object.entries(names).map(([name, shape]) => [name, tensor(shape)]));
  const head = { "classifier.weight": [2, 2], "classifier.bias": [2] };

  test("pairs everything", () => {
    const result = matchTensors(expected, found({ "bert.w": [2, 3], ...head }));
    expect([...result.weights.keys()]).toEqual(expected.map(({ name }) => name));
    expect(result.fresh).toEqual([]);
  });

  test("lists missing, unexpected and mis-shaped tensors in one error [M5]", () => {
    const run = () => matchTensors(expected, found({ "bert.w": [3, 2], "bert.extra": [1] }), { where: "m" });
    expect(run).toThrow(InputError);
    expect(run).toThrow(/^m: the weights do not fit the configuration/);
    expect(run).toThrow(/2 missing:\n {2}classifier\.weight \[2,2\]\n {2}classifier\.bias \[2\]/);
    expect(run).toThrow(/1 unexpected:\n {2}bert\.extra \[1\]/);
    expect(run).toThrow(/1 of another shape:\n {2}bert\.w: the configuration says \[2,3\], the weights have \[3,2\]/);
  });

  test("another rank is another shape", () => {
    for (const shape of [[2, 3, 4], [2], []]) {
      const other = found({ "bert.w": shape, ...head });
      expect(() => matchTensors(expected, other)).toThrow(`the weights have [${shape}]`);
    }
  });

  test("a long list is cut in the message and whole in the cause", () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ name: `w${i}`, shape: [1] }));
    try {
      matchTensors(many, new Map());
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message).toMatch(/100 missing:.*w23 \[1\]\n {2}… and 76 more$/s);
      expect(((error as Error).cause as { missing: string[] }).missing).toHaveLength(100);
    }
  });

  test("a missing head is reported as fresh only where that is allowed [M5]", () => {
    const base = found({ "bert.w": [2, 3] });
    expect(() => matchTensors(expected, base)).toThrow(/2 missing/);
    const result = matchTensors(expected, base, { fresh });
    expect(result.fresh).toEqual(["classifier.weight", "classifier.bias"]);
    expect([...result.weights.keys()]).toEqual(["bert.w"]);
  });

  test("half a head, and a head of another shape, are errors", () => {
    const half = found({ "bert.w": [2, 3], "classifier.weight": [2, 2] });
    expect(() => matchTensors(expected, half, { fresh })).toThrow(/1 missing:\n {2}classifier\.bias/);
    const other = found({ "bert.w": [2, 3], "classifier.weight": [5, 2], "classifier.bias": [5] });
    expect(() => matchTensors(expected, other, { fresh })).toThrow(/2 of another shape/);
  });

  test("what the caller ignores is as if it were not there, and is reported", () => {
    const other = found({
      "bert.w": [2, 3],
      "classifier.weight": [5, 2],
      "classifier.bias": [5],
      "qa_outputs.bias": [2],
    });
    const ignore = (name: string) => /^(classifier|qa_outputs)\./.test(name);
    const result = matchTensors(expected, other, { fresh, ignore });
    expect(result.fresh).toEqual(["classifier.weight", "classifier.bias"]);
    expect(result.ignored).toEqual(["classifier.weight", "classifier.bias", "qa_outputs.bias"]);
    expect(() => matchTensors(expected, other, { fresh })).toThrow(/1 unexpected:\n {2}qa_outputs\.bias/);
  });
});

describe("writeModelFolder", () => {
  const model = (): OutputModel<ModelConfig> => ({
    format: families.get("bert")!,
    config: { ...parseConfig(CONFIG, "c"), ...labelMaps(["bad", "good"]) },
    weights: new Map([
      ["classifier.bias", tensor([2], 1)],
      ["bert.w", tensor([2, 2], 2)],
    ]),
    tokenizerFiles: new Map([
      ["tokenizer.json", "{}"],
      ["tokenizer_config.json", '{"do_lower_case":true}'],
      ["special_tokens_map.json", "{}"],
      ["vocab.txt", VOCAB],
    ]),
    readme: "# A student\n",
    extra: new Map([
      ["metrics.jsonl", '{"loss":1}\n'],
      ["limbeck.json", "{}\n"],
    ]),
  });

  test("writes the whole folder, and reads it back", async () => {
    const files = memoryFiles();
    await writeModelFolder(files, model());
    expect(await files.list()).toEqual(
      [
        "README.md",
        "config.json",
        "limbeck.json",
        "metrics.jsonl",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
      ].sort(),
    );
    const back = await readModelFolder(files, families);
    expect(back.config.label2id).toEqual({ bad: 0, good: 1 });
    expect(back.tensors).toEqual(new Map([...model().weights].sort()));
    expect(parseSafetensors(await files.read("model.safetensors"), "f").metadata.get("format")).toBe("pt");
    expect(new TextDecoder().decode(await files.read("metrics.jsonl"))).toBe('{"loss":1}\n');
  });

  test("the same model gives the same bytes", async () => {
    const [a, b] = [memoryFiles(), memoryFiles()];
    await writeModelFolder(a, model());
    await writeModelFolder(b, { ...model(), weights: new Map([...model().weights].reverse()) });
    for (const name of await a.list()) expect(await b.read(name)).toEqual(await a.read(name));
  });

  test("over another model, at no moment is the folder a mixture that reads as one", async () => {
    const files = memoryFiles({ "notes.txt": "mine" });
    await writeModelFolder(files, { ...model(), weights: new Map([["bert.w", tensor([2], 3)]]) });
    const steps: string[] = [];
    for (const name of ["write", "remove"] as const) {
      const real = files[name].bind(files) as (...given: unknown[]) => Promise<void>;
      Object.assign(files, {
        [name]: async (...given: unknown[]) => {
          await real(...given);
          steps.push(`${name} ${given[0]}`);
          const whole = (await files.size("config.json")) !== undefined;
          expect(whole, steps.join()).toBe(
            !steps.includes("remove config.json") || steps.includes("write config.json"),
          );
        },
      });
    }
    await writeModelFolder(files, model());
    expect(steps.slice(0, 3)).toEqual(["remove limbeck.json", "remove metrics.jsonl", "remove config.json"]);
    expect(steps.slice(-4)).toEqual(
      ["model.safetensors", "config.json", "metrics.jsonl", "limbeck.json"].map((name) => `write ${name}`),
    );
    expect(await files.read("notes.txt")).toHaveLength(4);
    steps.length = 0;
    await writeModelFolder(files, model(), { alone: true });
    expect(await files.size("notes.txt")).toBeUndefined();
  });

  test("refuses NaN, a lost tokenizer and a clash of names, and leaves nothing", async () => {
    const files = memoryFiles();
    const broken = model();
    broken.weights.get("bert.w")!.data[1] = Number.POSITIVE_INFINITY;
    await expect(writeModelFolder(files, broken)).rejects.toThrow(/tensor "bert\.w": element 1 is Infinity/);
    await expect(writeModelFolder(files, { ...model(), tokenizerFiles: new Map() })).rejects.toThrow(
      /tokenizer\.json.* must be there/,
    );
    for (const name of ["config.json", "model.safetensors", "vocab.txt"]) {
      const clash = { ...model(), extra: new Map([[name, "x"]]) };
      await expect(writeModelFolder(files, clash)).rejects.toThrow(expect.objectContaining({ code: "NAME_TAKEN" }));
    }
    const outside = { ...model(), extra: new Map([["../x", "x"]]) };
    await expect(writeModelFolder(files, outside)).rejects.toThrow(
      expect.objectContaining({ code: "UNSAFE_FILE_NAME" }),
    );
    expect(await files.exists()).toBe(false);
  });
});
