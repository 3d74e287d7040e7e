// limbeck/infer: a student's folder, open for use, and nothing that trains: kernels of the forward pass alone, one thread, strict numerics.

import { runtime } from "#runtime";
import { WasmExecutor } from "./executors/wasm.ts";
import { loadModel as loadFolder, type Model } from "./train/model.ts";
import { type Prediction, predictStream, predictTexts, type TextOrPair } from "./train/predictions.ts";
import { type FolderSource, maxLengthFor, openFolder } from "./train/session.ts";
import { Predictor, placeWeights } from "./train/trainer.ts";

export { InputError, LimbeckError } from "./errors.ts";
export type { Files } from "./formats/files.ts";
export { memoryFiles } from "./formats/files.ts";
export type { Prediction, TextOrPair } from "./train/predictions.ts";
export type { FolderSource } from "./train/session.ts";
export { VERSION } from "./version.ts";

export interface InferOptions {
  /** Tokens a text may have; longer ones are cut. What the model allows unless given. */
  readonly maxLength?: number;
}

/** A classifier in memory. `using model = await loadModel(…)` closes it. */
export class Student {
  readonly #predictor: Predictor;
  readonly #maxLength: number;

  constructor(
    readonly model: Omit<Model, "weights">,
    executor: WasmExecutor,
    maxLength: number,
  ) {
    this.#predictor = new Predictor(executor, { owner: "model", config: model.config });
    this.#maxLength = maxLength;
  }

  predict(texts: readonly TextOrPair[]): Promise<Prediction[]> {
    return predictTexts(this.#predictor, this.model, texts, this.#maxLength);
  }

  /** In the order of the texts, as they come. */
  stream(texts: Iterable<TextOrPair> | AsyncIterable<TextOrPair>): AsyncGenerator<Prediction, void> {
    return predictStream(texts, (ready) => this.predict(ready));
  }

  dispose(): void {
    this.#predictor.executor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Opens a student's folder: a path or a URL where the host has such, or its files. */
export async function loadModel(source: FolderSource, { maxLength = 0 }: InferOptions = {}): Promise<Student> {
  const { weights, ...model } = await loadFolder(openFolder(runtime, source));
  const executor = await WasmExecutor.create(runtime, { threads: 1, build: "inference", frozen: true });
  placeWeights(executor, "model", weights);
  return new Student(model, executor, maxLengthFor([model.config], maxLength));
}
