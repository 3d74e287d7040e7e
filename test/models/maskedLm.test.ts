// Masked-LM heads of BERT and DistilBERT (test/fixtures/distilbert.py), IB-BERT and MobileBERT (maskedTransfer.py): logits against transformers,
// folders in and out, and what is refused.

import { describe, expect, test } from "vitest";
import { labelMaps, type Task } from "../../src/formats/config.ts";
import { memoryFiles } from "../../src/formats/files.ts";
import { writeModelFolder } from "../../src/formats/huggingface.ts";
import { parseSafetensors, serializeSafetensors, type Tensor, toFloat32 } from "../../src/formats/safetensors.ts";
import { batchValues, shown } from "../../src/models/features.ts";
import { familyOf, parseConfig, traceModel } from "../../src/models/index.ts";
import { decode } from "../../src/models/vocabulary.ts";
import { keep } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Scope } from "../../src/program/scope.ts";
import { forTasks, freshWeights, type LoadOptions, loadModel } from "../../src/train/model.ts";
import { maskedLogitsOf, maskedLogitsProgram, parametersOf } from "../../src/train/programs.ts";
import { placeWeights, shapeOf, writeBatch } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBytes, fixtureJson, fixtureMasked, fixtureTensors } from "../fixtures/read.ts";

const NAMES = ["distilbert/teacher", "distilbert/student", "maskedTransfer/teacher", "maskedTransfer/student"] as const;
type Name = (typeof NAMES)[number];
const tasks: readonly Task[] = ["maskedLm"];
const VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...Array.from({ length: 48 }, (_, i) => `w${i}`)];
const bytes = (name: Name) => fixtureBytes(`${name}/model.safetensors`);
const configText = (name: Name) => new TextDecoder().decode(fixtureBytes(`${name}/config.json`));

function tensorsOf(name: Name): Map<string, Tensor> {
  const { tensors } = parseSafetensors(bytes(name), name);
  return new Map([...tensors].map(([key, raw]) => [key, { shape: raw.shape, data: toFloat32(raw, key) }]));
}

const folder = (name: Name, tensors: ReadonlyMap<string, Tensor> = tensorsOf(name), config = configText(name)) =>
  memoryFiles(
    {
      ...{ "config.json": config, "vocab.txt": VOCAB.map((token) => `${token}\n`).join("") },
      "model.safetensors": serializeSafetensors(new Map(tensors)),
    },
    "m",
  );
const load = (name: Name, tensors?: ReadonlyMap<string, Tensor>, options: LoadOptions = { tasks }) =>
  loadModel(folder(name, tensors), options);

for (const device of devices)
  describe.skipIf(device.missing)(`on ${device.name}`, () => {
    for (const name of NAMES)
      test(`logits of ${name} at the masked tokens equal PyTorch's, by either way`, async () => {
        const { config, weights } = await load(name);
        const [file, role] = name.split("/");
        const batch = fixtureMasked(fixtureJson(`${file}.json`).batches[0], 1);
        const trace = new Trace();
        const features = traceModel(new Scope(trace, "m", false), config, batchValues(trace, shapeOf(batch)));
        const all = keep(decode(shown(features, name).vocabulary), "logits");
        const executor = await device.make();
        placeWeights(executor, "m", weights);
        const placed = { owner: "m", config };
        for (const traced of [maskedLogitsProgram(placed, shapeOf(batch)), trace.finish("vocabulary")]) {
          const program = executor.load(traced);
          writeBatch(executor, batch, [program]);
          executor.run(program);
        }
        const truth = fixtureTensors(`${file}.safetensors`).get(`${role}/masked`) as Float64Array;
        const most = Math.max(...Array.from(truth, Math.abs));
        const [V, rows] = [config.vocab_size, [...batch.maskedRows].filter((row) => row < batch.tokens)];
        expect(rows.length * V).toBe(truth.length);
        const few = maskedLogitsOf("m", batch.masked, V);
        const [a, b] = [await executor.read(few), await executor.read(all)];
        const apart = truth.map((x, i) =>
          Math.max(Math.abs(a[i] - x), Math.abs(b[rows[Math.floor(i / V)] * V + (i % V)] - x)),
        );
        expect(Math.max(...apart) / most).toBeLessThanOrEqual(device.name === "reference" ? 1e-9 : 1e-4);
        executor.dispose();
      });
  });

describe.each(NAMES)("the folder of %s", (name) => {
  const head = familyOf(parseConfig(configText(name), name)).maskedLm as NonNullable<
    ReturnType<typeof familyOf>["maskedLm"]
  >;
  const [repeated, original] = Object.entries(head.tied)[0];
  const own = () => tensorsOf(name);

  test("holds what transformers' class holds, and is written as it was [E1]", async () => {
    const model = await load(name);
    expect([...parametersOf(model.config).keys()].sort()).toEqual([...own().keys()].sort());
    const files = memoryFiles();
    const { config, weights, tokenizer } = model;
    await writeModelFolder(files, {
      ...{ config, format: familyOf(config), weights, tokenizerFiles: tokenizer.files, readme: "" },
    });
    const written = JSON.parse(new TextDecoder().decode(await files.read("config.json")));
    expect(written.architectures).toEqual(JSON.parse(configText(name)).architectures);
    expect(Object.keys(written)).not.toContain("tasks");
    expect((await loadModel(files, { tasks })).weights).toEqual(weights);
  });

  test("a decoder that is saved as well must be the word embeddings [M5]", async () => {
    const table = own().get(original) as Tensor;
    const { weights } = await load(name, own().set(repeated, table));
    expect(weights).toEqual((await load(name)).weights);
    const other = { shape: table.shape, data: table.data.map((x, i) => (i === 5 ? x + 1 : x)) };
    await expect(load(name, own().set(repeated, other))).rejects.toThrow(/tied to the word embeddings/);
  });

  test("without a head, or with half of one: an error, or a fresh one where that is wanted", async () => {
    const bare = new Map([...own()].filter(([key]) => !head.parts.some((part) => key.startsWith(part))));
    await expect(load(name, bare)).rejects.toThrow(/^m has no masked-LM head; train one \(limbeck pretrain\)/);
    const made = await load(name, bare, { tasks, freshMaskedLm: true, seed: 3 });
    const norm = [...made.weights].find(([key]) => /norm\.weight$/i.test(key) && !bare.has(key))?.[1].data;
    expect(norm?.every((x) => x === 1)).toBe(true);
    expect(made.notes.at(-1)).toMatch(/^fresh .*bias/);
    const half = new Map([...own()].filter(([key]) => !/(dense|vocab_transform)\.bias$/.test(key)));
    await expect(load(name, half)).rejects.toThrow(/missing/);
  });

  test("as a classifier it leaves the head aside; a model for both has both, and may leave either", async () => {
    const classifier = await load(name, undefined, { labels: ["a", "b"] });
    expect([...classifier.weights.keys()].some((key) => head.parts.some((part) => key.startsWith(part)))).toBe(false);
    const both = await load(name, undefined, { labels: ["a", "b"], tasks: ["classification", "maskedLm"] });
    const [classes, masked] = ["classification", "maskedLm"].map((task) => forTasks(both, [task as Task], 1));
    expect([...classes.weights.keys()].sort()).toEqual([...classifier.weights.keys()].sort());
    expect([...masked.weights.keys()].sort()).toEqual([...own().keys()].sort());
    expect(masked.notes).toEqual(both.notes);
    expect(forTasks(masked, ["classification"], 1).notes.at(-1)).toMatch(/^fresh .*classifier\.weight/);
  });
});

test("BERT's decoder bias may stand under its other name", async () => {
  const tensors = tensorsOf("distilbert/teacher");
  const bias = tensors.get("cls.predictions.bias") as Tensor;
  tensors.delete("cls.predictions.bias");
  const { weights } = await load("distilbert/teacher", tensors.set("cls.predictions.decoder.bias", bias));
  expect(weights.get("cls.predictions.bias")).toEqual(bias);
});

test("a family that has no such head says so", async () => {
  const config = {
    model_type: "bilstm",
    vocab_size: 53,
    max_position_embeddings: 32,
    embedding_size: 4,
    hidden_size: 3,
  };
  const text = JSON.stringify({ ...config, ...labelMaps(["a", "b"]) });
  const weights = freshWeights(parseConfig(text, "bilstm"), 1);
  await expect(loadModel(folder("distilbert/teacher", weights, text), { tasks })).rejects.toThrow(
    /has no masked-LM head/,
  );
});
