// limbeck/web: the library for pages. Its verbs are those of limbeck; each call has a worker of its own, in which everything is computed, and which
// ends with it. The page's thread only sends and receives messages.

import { LimbeckError } from "./errors.ts";
import type { Profile, ProfileRow } from "./executors/profile.ts";
import type { ClassifierOptions } from "./train/classifier.ts";
import type { DistillOptions } from "./train/distill.ts";
import type { Diagnosis } from "./train/doctor.ts";
import type { FinetuneOptions } from "./train/finetune.ts";
import type { Metrics } from "./train/metrics.ts";
import type { PlanOptions, RunPlan } from "./train/plan.ts";
import type { Prediction, TextOrPair } from "./train/predictions.ts";
import type { PretrainOptions } from "./train/pretrain.ts";
import type { TrainingEvent } from "./train/run.ts";
import type { TrainingResult } from "./train/train.ts";
import { type Reply, type Request, type RunVerb, unpackError, type Verb } from "./web/messages.ts";
import type { WebFile, WebFolder, WebOptions } from "./web/sources.ts";
import { PageThreads } from "./web/threads.ts";

export { InputError, LimbeckError } from "./errors.ts";
export type { Metrics } from "./train/metrics.ts";
export type { Prediction, TextOrPair } from "./train/predictions.ts";
export type { TrainingEvent } from "./train/run.ts";
export { VERSION } from "./version.ts";
export type { WebFile, WebFolder, WebOptions } from "./web/sources.ts";

/** What a run came to. */
export interface WebResult extends Omit<TrainingResult, "model" | "profile"> {
  /** The student's folder, where `out` named no other place for it. */
  readonly files?: readonly File[];
  readonly profile?: { readonly limits: Profile["limits"]; readonly kernels: readonly ProfileRow[] };
}

interface Waiting {
  event?(event: TrainingEvent): void;
  resolve(value: unknown): void;
  reject(error: LimbeckError): void;
}

/** A worker and the calls that wait for it. */
class Connection {
  readonly #worker: Worker;
  readonly #threads = new PageThreads();
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  #ended: LimbeckError | undefined;

  constructor() {
    if (typeof Worker === "undefined")
      throw new LimbeckError(
        "NO_WORKER",
        "this host has no workers, in which limbeck/web computes; import limbeck itself where blocking is no matter.",
      );
    this.#worker = new Worker(new URL("web.worker.js", import.meta.url), { type: "module", name: "limbeck" });
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data);
    this.#worker.onmessageerror = () => this.#fail("a message could not be read; is its memory full?");
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const unloaded =
        "its script did not load; serve web.worker.js beside this one, and let the page's policy have it (worker-src)";
      this.#fail(event.message || unloaded);
    };
  }

  call(verb: Verb, args: readonly unknown[], event?: Waiting["event"]): { id: number; answer: Promise<unknown> } {
    const id = ++this.#calls;
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.set(id, { event, resolve, reject });
      try {
        this.#send({ id, verb, args });
      } catch (cause) {
        this.#waiting.delete(id);
        const why = cause instanceof Error ? cause.message : String(cause);
        reject(
          new LimbeckError(
            "NOT_SENDABLE",
            `an option cannot be sent to the worker (${why}); give plain data and files.`,
            { cause },
          ),
        );
      }
    });
    return { id, answer };
  }

  tell(id: number, end: "abort" | "leave"): void {
    this.#send({ id, end });
  }

  /** Ends the worker at once; what waits for it is told so. */
  close(): void {
    this.#end(new LimbeckError("WORKER_TERMINATED", "its worker was ended before it had answered."));
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  #hear(reply: Reply): void {
    if ("alive" in reply) {
      // Granted when the worker has ended, however it did.
      navigator.locks.request(reply.alive, () => this.#fail("it has vanished; is the memory of the page full?"));
      return;
    }
    if ("port" in reply) {
      this.#threads.make(reply, (request) => this.#send(request));
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    if ("event" in reply) {
      waiting?.event?.(reply.event);
      return;
    }
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(unpackError(reply.error));
    else waiting?.resolve(reply.value);
  }

  #fail(why: string): void {
    this.#end(new LimbeckError("WORKER_FAILED", `the worker ended: ${why}`));
  }

  #end(error: LimbeckError): void {
    this.#ended ??= error;
    this.#worker.terminate();
    this.#threads.end();
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

/** A training in its worker: `for await (const event of run)`, then `await run.result`. It goes on whether its events are taken or not. */
export class WebRun implements AsyncIterable<TrainingEvent> {
  /** The outcome. */
  readonly result: Promise<WebResult>;
  readonly #connection: Connection;
  readonly #id: number;
  readonly #events: TrainingEvent[] = [];
  #wake: () => void = () => {};
  #ended = false;

  constructor(verb: RunVerb, { signal, ...options }: WebOptions<FinetuneOptions | DistillOptions | PretrainOptions>) {
    this.#connection = new Connection();
    const { id, answer } = this.#connection.call(verb, [options], (event) => {
      this.#events.push(event);
      this.#wake();
    });
    this.#id = id;
    const abort = () => this.#connection.tell(id, "abort");
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    this.result = (answer as Promise<WebResult | undefined>)
      .then((result) => {
        if (result) return result;
        throw new LimbeckError("RUN_LEFT", "its events were left before the end");
      })
      .finally(() => {
        signal?.removeEventListener("abort", abort);
        this.#ended = true;
        this.#connection.close();
        this.#wake();
      });
    // Who takes the events hears of a failure there.
    this.result.catch(() => {});
  }

  /** The events, once. A loop that is left early ends the run. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TrainingEvent, void> {
    try {
      while (this.#events.length > 0 || !this.#ended) {
        const event = this.#events.shift();
        if (event) yield event;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
      await this.result;
    } finally {
      if (!this.#ended) {
        this.#connection.tell(this.#id, "leave");
        await this.result.catch(() => {});
      }
    }
  }

  /** Ends the run at once, as a closed tab would; to end it well, use the signal. */
  terminate(): void {
    this.#connection.close();
  }
}

/** Trains a BERT folder on labelled text. */
export function finetune(options: WebOptions<FinetuneOptions>): WebRun {
  return new WebRun("finetune", options);
}

/** Trains a small student from one or several teachers. */
export function distill(options: WebOptions<DistillOptions>): WebRun {
  return new WebRun("distill", options);
}

/** Trains a masked-LM head, and the model under it if asked, on plain text. */
export function pretrain(options: WebOptions<PretrainOptions>): WebRun {
  return new WebRun("pretrain", options);
}

async function once<T>(verb: Verb, ...args: unknown[]): Promise<T> {
  const connection = new Connection();
  try {
    return (await connection.call(verb, args).answer) as T;
  } finally {
    connection.close();
  }
}

/** What a run would take: nothing is trained but a few steps that are measured. */
export function plan(options: WebOptions<PlanOptions>): Promise<RunPlan> {
  return once("plan", options);
}

/** What this machine has for limbeck: threads, GPU adapters, and how right the kernels are on each. */
export function doctor(): Promise<Diagnosis> {
  return once("doctor");
}

/** A trained model in its worker. */
export class WebModel {
  readonly #connection: Connection;
  readonly name: string;
  readonly notes: readonly string[];
  /** One sentence: what runs, and why. */
  readonly device: string;

  private constructor(connection: Connection, { name, notes, device }: Pick<WebModel, "name" | "notes" | "device">) {
    this.#connection = connection;
    [this.name, this.notes, this.device] = [name, notes, device];
  }

  static async open(source: WebFolder, options: WebOptions<ClassifierOptions>): Promise<WebModel> {
    const connection = new Connection();
    try {
      const about = (await connection.call("open", [source, options]).answer) as WebModel;
      return new WebModel(connection, about);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  predict(texts: readonly TextOrPair[]): Promise<Prediction[]> {
    return this.#connection.call("predict", [texts]).answer as Promise<Prediction[]>;
  }

  /** Metrics on a file of examples. */
  async evaluate(data: WebFile): Promise<Metrics> {
    const { metrics } = (await this.#connection.call("evaluate", [data, {}]).answer) as { metrics: Metrics };
    return metrics;
  }

  dispose(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Opens a model folder for use. */
export function loadModel(source: WebFolder, options: WebOptions<ClassifierOptions> = {}): Promise<WebModel> {
  return WebModel.open(source, options);
}

/** Metrics of a model on a file of examples. */
export async function evaluate(
  options: WebOptions<ClassifierOptions> & { readonly model: WebFolder; readonly data: WebFile },
): Promise<Metrics> {
  const { model, data, ...rest } = options;
  const opened = await loadModel(model, rest);
  try {
    return await opened.evaluate(data);
  } finally {
    opened.dispose();
  }
}
