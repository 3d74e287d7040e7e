// limbeck's part of bench/cpu.ts, for every engine that has Node's modules: one piece of work, named and sized by the argument.

import process from "node:process";
import { type Batch, makeBatch } from "../../src/data/batch.ts";
import { Profile, type Work } from "../../src/executors/profile.ts";
import { WasmExecutor } from "../../src/executors/wasm.ts";
import { workOf } from "../../src/executors/wasmTimes.ts";
import type { ModelConfig } from "../../src/models/index.ts";
import { parseConfig } from "../../src/models/index.ts";
import { matmul } from "../../src/ops/index.ts";
import { optimizerNamed } from "../../src/optim/index.ts";
import { type Program, Trace } from "../../src/program/program.ts";
import { hard } from "../../src/recipes/hard.ts";
import { node } from "../../src/runtimes/node.ts";
import { alone } from "../../src/train/evaluate.ts";
import {
  DROPOUT,
  forwardProgram,
  type StepStructure,
  stepPrograms,
  updateProgram,
  weightOf,
} from "../../src/train/programs.ts";
import { Predictor, placeWeights, shapeOf, Trainer, writeBatch } from "../../src/train/trainer.ts";
import { bertConfig, noise, randomWeights } from "../peers/work.ts";
import { answer } from "./lines.mjs";
import type { Work as Wanted } from "./work.ts";

const work: Wanted = JSON.parse(process.argv[2]);

/** Full rows: no padding would be left out by anybody. */
function fullBatch(sequences: number, length: number, vocabulary: number): Batch {
  const encoded = Array.from({ length: sequences }, (_, s) => ({
    ids: Array.from({ length }, (_, i) => (7919 * (s * length + i) + 13) % vocabulary),
    segments: new Array<number>(length).fill(0),
    label: s % 2,
  }));
  return sequences === 1 ? alone(encoded[0]) : makeBatch(encoded, { size: sequences });
}

/** Multiplications and additions (of products, attention and what else says how many it has), and bytes that are read and written. */
function workIn(...programs: readonly Program[]): Work {
  const all = programs.flatMap(({ instructions }) => instructions.map(workOf));
  return {
    flops: all.reduce((sum, { flops }) => sum + flops, 0),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function configOf(model: NonNullable<Wanted["model"]>): ModelConfig {
  if (model.kind === "bert") return bertConfig(model);
  const { embedding, hidden, classifier, vocabulary: vocab_size } = model;
  const sizes = { embedding_size: embedding, hidden_size: hidden, classifier_size: classifier };
  const rest = { vocab_size, max_position_embeddings: 512, num_labels: 2, model_type: "bilstm" };
  return parseConfig(JSON.stringify({ ...rest, ...sizes }), "bilstm");
}

const profile = new Profile();
const { threads, numerics } = work;
const limits = await WasmExecutor.create(node, { threads, numerics, profile });
limits.dispose();
// A classifier's weights stay packed, as loadModel has them.
const executor = await WasmExecutor.create(node, { threads, numerics, frozen: work.what === "predict" });
if (numerics === "fast" && executor.numerics.is !== "fast") throw new Error("Error: no relaxed SIMD here");
const said = { limit: profile.limits.flops, threads: executor.threads, note: executor.note };

if (work.what === "product") {
  const { M, N, K, transposeA = false, transposeB = false } = work.product as NonNullable<Wanted["product"]>;
  const trace = new Trace();
  const a = trace.input("a", transposeA ? [K, M] : [M, K]);
  const b = trace.input("b", transposeB ? [N, K] : [K, N]);
  trace.retarget(matmul({ a, b }, { transposeA, transposeB }), trace.input("c", [M, N]), false);
  const loaded = executor.load(trace.finish("product"));
  executor.write(a, noise(M * K, 1, 1));
  executor.write(b, noise(K * N, 1, 2));
  await answer(() => executor.run(loaded), { ...said, flops: 2 * M * N * K });
} else {
  const { sequences, length, dropout = 0, optimizer = "adamw" } = work;
  const config = configOf(work.model as NonNullable<Wanted["model"]>);
  placeWeights(executor, "student", randomWeights(config));
  const batch = fullBatch(sequences as number, length as number, config.vocab_size);
  const structure: StepStructure = {
    ...{ student: { owner: "student", config }, teachers: [], stage: hard.stages.task, regression: false },
    optimizer: optimizerNamed(optimizer),
  };
  const { gradient } = stepPrograms(structure, shapeOf(batch));
  if (work.what === "predict") {
    const predictor = new Predictor(executor, structure.student);
    const forward = workIn(forwardProgram(structure.student, shapeOf(batch)));
    await answer(() => predictor.logits(batch), { ...said, ...forward });
  } else if (work.what === "step") {
    const trainer = new Trainer(executor, structure, { seed: 1 });
    const step = () => trainer.step([batch], 5e-5, { temperature: 1, alpha: 0, beta: 0 });
    await answer(step, { ...said, ...workIn(gradient, updateProgram(structure)), dropout });
  } else {
    const loaded = executor.load(gradient);
    executor.write(weightOf("hard"), Float64Array.of(1));
    executor.write(DROPOUT, Uint32Array.of(1, 1));
    const turn = () => {
      writeBatch(executor, batch, [loaded]);
      executor.run(loaded);
    };
    await answer(turn, { ...said, ...workIn(gradient) });
  }
}
