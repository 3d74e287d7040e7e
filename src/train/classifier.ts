// A trained model, open for use: classify texts, evaluate a data set. `using model = await loadModel(…)` closes it.

import type { DatasetOptions } from "../data/dataset.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { encode, measureLatency, predictAll, score, truncationNote } from "./evaluate.ts";
import { predictionPrograms } from "./largest.ts";
import type { Metrics } from "./metrics.ts";
import { labelsOf, loadModel, type Model, requirePairs } from "./model.ts";
import type { DeviceOptions } from "./options.ts";
import { type Prediction, predictStream, predictTexts, type TextOrPair } from "./predictions.ts";
import { LastingDevice, LastingPredictor } from "./recovery.ts";
import { type DataSource, type FolderSource, maxLengthFor, openData, openDevice, openFolder } from "./session.ts";

export interface ClassifierOptions extends Partial<DeviceOptions> {
  readonly maxLength?: number;
  readonly allowNonfinite?: boolean;
}

export class Classifier {
  readonly #predictor: LastingPredictor;
  readonly #maxLength: number;

  private constructor(
    readonly model: Model,
    readonly device: LastingDevice,
    maxLength: number,
    readonly runtime: Runtime,
  ) {
    this.#predictor = new LastingPredictor(device, { owner: "model", config: model.config });
    this.#maxLength = maxLength;
  }

  static async open(
    runtime: Runtime,
    source: FolderSource | Model,
    options: ClassifierOptions = {},
  ): Promise<Classifier> {
    const model =
      typeof source === "object" && "weights" in source
        ? source
        : await loadModel(openFolder(runtime, source), { allowNonfinite: options.allowNonfinite });
    const maxLength = maxLengthFor([model.config], options.maxLength ?? 0);
    const programs = () => predictionPrograms({ owner: "model", config: model.config }, maxLength);
    const instead = () => openDevice(runtime, { ...options, device: "wasm" }, programs, { frozen: true });
    const device = new LastingDevice(await openDevice(runtime, options, programs, { frozen: true }), instead);
    await device.place("model", model.weights);
    return new Classifier(model, device, maxLength, runtime);
  }

  predict(texts: readonly TextOrPair[]): Promise<Prediction[]> {
    return predictTexts(this.#predictor, this.model, texts, this.#maxLength);
  }

  /** In the order of the texts, as they come. */
  stream(texts: Iterable<TextOrPair> | AsyncIterable<TextOrPair>): AsyncGenerator<Prediction, void> {
    return predictStream(texts, (ready) => this.predict(ready));
  }

  /** Metrics on a file of examples, and the time of a sentence. */
  async evaluate(
    data: DataSource,
    options: DatasetOptions = {},
  ): Promise<{ metrics: Metrics; rows: number; millisecondsPerSentence: number; notes: readonly string[] }> {
    const labels = labelsOf(this.model.config);
    const known = labels ? { label2id: this.model.config.label2id } : { task: "regression" as const };
    const dataset = await openData(this.runtime, data, { ...options, ...known });
    requirePairs(this.model, dataset.pair);
    const set = encode(dataset, this.model.tokenizer, this.#maxLength);
    const logits = await predictAll(this.#predictor, set.rows);
    return {
      metrics: score(logits, set, this.model.config.num_labels),
      rows: set.rows.length,
      millisecondsPerSentence: await measureLatency(this.#predictor, set.rows),
      notes: set.truncated === 0 ? dataset.notes : [...dataset.notes, truncationNote(dataset, set, this.#maxLength)],
    };
  }

  dispose(): void {
    this.device.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
