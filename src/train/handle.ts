// A running training as the library shows it: `for await (const event of run)`, then `await run.result`.

import { LimbeckError } from "../errors.ts";
import type { TrainingEvent } from "./run.ts";
import type { TrainingResult, TrainingRun } from "./train.ts";

export class Run implements AsyncIterable<TrainingEvent> {
  readonly #generator: TrainingRun;
  #result: Promise<TrainingResult> | undefined;

  constructor(generator: TrainingRun) {
    this.#generator = generator;
  }

  /** The events, once. The run advances as they are taken; a loop that is left early closes the run. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainingEvent, void> {
    try {
      for (;;) {
        const next = await this.#generator.next();
        if (!next.done) {
          yield next.value;
          continue;
        }
        this.#result = Promise.resolve(next.value);
        return;
      }
    } finally {
      await this.#generator.return(undefined as never);
    }
  }

  /** The outcome; drives the run to its end when nobody takes the events. */
  get result(): Promise<TrainingResult> {
    this.#result ??= (async () => {
      for (;;) {
        const next = await this.#generator.next();
        if (next.done && next.value) return next.value;
        if (next.done) throw new LimbeckError("RUN_LEFT", "the run failed, or its events were left before the end");
      }
    })();
    return this.#result;
  }
}
