// The worker of limbeck/web: here models are trained and used; the page only sends and receives messages. Built to dist/web.worker.js.

import { runtime as own } from "#runtime";
import { LimbeckError } from "../errors.ts";
import { memoryFiles } from "../formats/files.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { distill } from "../train/chain.ts";
import { Classifier } from "../train/classifier.ts";
import { doctor } from "../train/doctor.ts";
import { finetune } from "../train/finetune.ts";
import { plan } from "../train/plan.ts";
import type { TextOrPair } from "../train/predictions.ts";
import { pretrain } from "../train/pretrain.ts";
import { resumes } from "../train/runFolder.ts";
import type { CommonOptions, TrainingRun } from "../train/train.ts";
import { packError, type Reply, type Request, RUNS, type RunVerb } from "./messages.ts";
import { fileOf, filesOf, folderOf, type WebFile, type WebFolder, withFiles } from "./sources.ts";
import { AskedThreads } from "./threads.ts";

const runs = { finetune, distill, pretrain } as const;

function serve(): void {
  const say = (reply: Reply, transfer: Transferable[] = []) => postMessage(reply, { transfer });
  const threads = new AskedThreads(say);
  const runtime: Runtime = { ...own, startThread: (start) => threads.start(start) };
  const ends = new Map<number, (how: "abort" | "leave") => void>();
  let model: Classifier | undefined;

  async function run(id: number, verb: RunVerb, given: object): Promise<unknown> {
    const controller = new AbortController();
    let left = false;
    ends.set(id, (how) => {
      if (how === "abort") controller.abort();
      else left = true;
    });
    const options = { ...(await withFiles(given)), signal: controller.signal } as CommonOptions;
    // A student that goes to the page is kept on the way only as far as the run itself needs it: checkpoints would end with this worker.
    const memory = options.out === undefined && !resumes(options) ? memoryFiles(undefined, "student") : undefined;
    const whole = memory ? { ...options, out: memory, ...(options.bestBy ? {} : { saveStrategy: "no" }) } : options;
    const running = (runs[verb] as (on: Runtime, options: object) => TrainingRun)(runtime, whole);
    try {
      for (;;) {
        const next = await running.next();
        if (left) return undefined;
        if (next.done) {
          const { model, profile, ...rest } = next.value;
          const measured = profile && { limits: profile.limits, kernels: profile.rows() };
          return {
            ...rest,
            folder: memory ? undefined : rest.folder,
            profile: measured,
            files: memory && (await filesOf(memory)),
          };
        }
        say({ id, event: next.value });
      }
    } finally {
      ends.delete(id);
      await running.return(undefined as never);
    }
  }

  async function answer({ id, verb, args }: Extract<Request, { verb: unknown }>): Promise<unknown> {
    if ((RUNS as readonly string[]).includes(verb)) return run(id, verb as RunVerb, args[0] as object);
    switch (verb) {
      case "plan":
        return plan(runtime, (await withFiles(args[0] as object)) as Parameters<typeof plan>[1]);
      case "doctor":
        return doctor(runtime);
      case "open":
        model = await Classifier.open(runtime, folderOf(args[0] as WebFolder), args[1] as object);
        return { name: model.model.name, notes: model.model.notes, device: model.device.choice };
      case "predict":
        return model?.predict(args[0] as TextOrPair[]);
      case "evaluate":
        return model?.evaluate(await fileOf(args[0] as WebFile), args[1] as object);
      default:
        throw new LimbeckError("WORKER_FAILED", `the worker has no verb ${verb}; do page and worker have one version?`);
    }
  }

  addEventListener("message", ({ data }: MessageEvent<Request>) => {
    if ("end" in data) ends.get(data.id)?.(data.end);
    else if ("failed" in data) threads.failed(data);
    else
      answer(data).then(
        (value) => say({ id: data.id, value }),
        (error) => say({ id: data.id, error: packError(error) }),
      );
  });
  // Nobody is told when a worker ends, but its locks are let go.
  const name = `limbeck ${crypto.randomUUID()}`;
  navigator.locks?.request(name, () => {
    say({ alive: name });
    return new Promise(() => {});
  });
}

serve();
