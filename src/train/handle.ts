// A running training as the library shows it: `for await (const event of run)`, then `await run.result`.

import type { TrainingEvent } from "./run.ts";
import type { TrainingResult, TrainingRun } from "./train.ts";

export class Run implements AsyncIterable<TrainingEvent> {
  readonly #generator: TrainingRun;
  #result: Promise<TrainingResult> | undefined;

  constructor(generator: TrainingRun) {
    this.#generator = generator;
  }

  /** The events, once. The run advances as they are taken. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainingEvent, void> {
    let settle: (value: Promise<TrainingResult>) => void = () => {};
    this.#result = new Promise<TrainingResult>((resolve) => {
      settle = resolve;
    });
    // An error is thrown to the loop; whoever awaits `result` as well gets it too, and nobody is not an unhandled one.
    this.#result.catch(() => {});
    try {
      for (;;) {
        const next = await this.#generator.next();
        if (next.done) {
          settle(Promise.resolve(next.value));
          return;
        }
        yield next.value;
      }
    } catch (error) {
      settle(Promise.reject(error));
      throw error;
    } finally {
      // A loop that is left early closes the run: its executor is freed.
      await this.#generator.return(undefined as never);
      settle(Promise.reject(new Error("the run was left before its end")));
    }
  }

  /** The outcome; drives the run to its end when nobody takes the events. */
  get result(): Promise<TrainingResult> {
    this.#result ??= (async () => {
      for (;;) {
        const next = await this.#generator.next();
        if (next.done) return next.value;
      }
    })();
    return this.#result;
  }
}
