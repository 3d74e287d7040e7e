// What the training commands share: the run is shown, stops at Ctrl-C with a checkpoint and with what it has, and ends in a table.

import type { Run, TrainingResult } from "../index.ts";
import { judgedTable } from "../train/output.ts";
import { profileTable } from "../train/profileTable.ts";
import { camel, dataOptions, type Resolved } from "./options.ts";
import { count, duration, outputFor } from "./output.ts";
import { type Progress, progressOn } from "./progress.ts";

const STOPPED = 130;

/** Options of the library's CommonOptions: the same names, but for those of the data. */
export function commonOptions(o: Resolved): Record<string, unknown> {
  const {
    config,
    json,
    header,
    normalize,
    skipBad,
    encoding,
    format,
    textColumn,
    pairColumn,
    labelColumn,
    tagColumn,
    pairTagColumn,
    softLabelColumns,
    softLabelForm,
    task,
    stage,
    ...same
  } = o;
  return { ...same, stages: stageOptions(stage), data: dataOptions(o) };
}

/** batch-size and batchSize are one. */
function stageOptions(stage: unknown): unknown {
  if (stage === undefined) return undefined;
  const camelCase = (own: object) => Object.fromEntries(Object.entries(own).map(([key, value]) => [camel(key), value]));
  return Object.fromEntries(Object.entries(stage as object).map(([name, own]) => [name, camelCase(own)]));
}

/** The first Ctrl-C lets the step finish and saves; the second ends the process. */
function interruption(progress: Progress): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) {
      progress.close();
      process.exit(STOPPED);
    }
    progress.show({
      type: "note",
      text: "stopping after this step, then saving; Ctrl-C again ends at once (--resume goes on behind the last checkpoint)",
    });
    controller.abort();
  };
  process.on("SIGINT", stop);
  return { signal: controller.signal, release: () => process.off("SIGINT", stop) };
}

export async function follow(o: Resolved, start: (signal: AbortSignal) => Run): Promise<void> {
  const output = outputFor(o.json === true);
  const progress = progressOn(process.stderr);
  const { signal, release } = interruption(progress);
  try {
    const run = start(signal);
    for await (const event of run) {
      progress.show(event);
      output.emit(event);
    }
    progress.close();
    report(o, await run.result);
  } finally {
    progress.close();
    release();
  }
}

function report(o: Resolved, result: TrainingResult): void {
  const output = outputFor(o.json === true);
  const { model, notes, profile, ...rest } = result;
  output.emit({ type: "result", out: o.out, ...rest });
  if (profile) output.emit({ type: "profile", limits: profile.limits, kernels: profile.rows() });
  output.say(`\n${judgedTable(result.judged)}\n`);
  if (profile) output.say(`${profileTable(profile)}\n`);
  const stopped = result.complete ? "" : "stopped: ";
  output.say(`${stopped}${count(result.steps)} steps in ${duration(result.seconds)}; saved in ${result.folder}`);
  if (!result.complete) output.say("the same command with --resume goes on from there");
  if (!result.complete) process.exitCode = STOPPED;
}
