// A trained model, open for use: classify texts, evaluate a data set. `using model = await loadModel(…)` closes it.

import type { DatasetOptions } from "../data/dataset.ts";
import { exp } from "../math.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { alone, encode, measureLatency, predictAll, score, truncationNote } from "./evaluate.ts";
import { predictionPrograms } from "./largest.ts";
import type { Metrics } from "./metrics.ts";
import { argmax } from "./metrics.ts";
import { labelsOf, loadModel, type Model, requirePairs } from "./model.ts";
import type { DeviceOptions } from "./options.ts";
import { LastingDevice, LastingPredictor } from "./recovery.ts";
import { type DataSource, type FolderSource, maxLengthFor, openData, openDevice, openFolder } from "./session.ts";

export interface Prediction {
  /** The most probable label; absent in regression. */
  readonly label?: string;
  /** Its probability, or the score in regression. */
  readonly score: number;
  /** Probability of every label. */
  readonly probabilities?: Readonly<Record<string, number>>;
  /** The text was longer than the model reads, and was cut. */
  readonly truncated: boolean;
}

export type TextOrPair = string | readonly [text: string, pair: string];

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

  async predict(texts: readonly TextOrPair[]): Promise<Prediction[]> {
    const rows = texts.map((text) => {
      const [first, pair] = typeof text === "string" ? [text, undefined] : text;
      requirePairs(this.model, pair !== undefined);
      return this.model.tokenizer.encode(first, pair, this.#maxLength);
    });
    const C = this.model.config.num_labels;
    const labels = labelsOf(this.model.config);
    const logits =
      rows.length === 1 ? await this.#predictor.logits(alone(rows[0])) : await predictAll(this.#predictor, rows);
    return rows.map(({ truncated }, row) => {
      if (labels === null) return { score: logits[row * C], truncated };
      const best = argmax(logits, row, C);
      const weights = labels.map((_, c) => exp(logits[row * C + c] - logits[row * C + best]));
      const total = weights.reduce((a, b) => a + b, 0);
      const probabilities = Object.fromEntries(labels.map((label, c) => [label, weights[c] / total]));
      return { label: labels[best], score: 1 / total, probabilities, truncated };
    });
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
