// How a run shows itself: on a terminal one line that is rewritten, with a bar; elsewhere a plain line per report.

import type { WriteStream } from "node:tty";
import type { TrainingEvent } from "../train/run.ts";
import { bytes, coloured, count, duration, metricCells } from "./output.ts";

export interface Progress {
  show(event: TrainingEvent): void;
  /** Ends the line that is being rewritten, so that others can write. */
  close(): void;
}

type Stream = Pick<WriteStream, "isTTY" | "columns"> & { write(text: string): unknown };
type Step = Extract<TrainingEvent, { type: "step" }>;

const BAR = 20;

export function progressOn(stream: Stream, env: NodeJS.ProcessEnv = process.env): Progress {
  const live = stream.isTTY === true && env.TERM !== "dumb";
  const colour = coloured(stream, env);
  const dim = (text: string) => (colour ? `\x1b[2m${text}\x1b[22m` : text);
  let open = false;
  const clear = () => {
    if (open) stream.write("\r\x1b[2K");
    open = false;
  };
  const line = (text: string) => {
    clear();
    stream.write(`${text}\n`);
  };
  let total = 0;
  const bar = (step: number, text: string) => {
    const full = Math.round((BAR * step) / Math.max(1, total));
    const drawn = `${"█".repeat(full)}${dim("░".repeat(BAR - full))} `;
    const room = Math.max(20, (stream.columns || 80) - BAR - 2);
    stream.write(`\r\x1b[2K${drawn}${text.slice(0, room)}`);
    open = true;
  };

  return {
    show(event) {
      switch (event.type) {
        case "note":
          return line(dim(event.text));
        case "start":
          total = event.steps;
          line(
            `${event.stage ? `${event.stage}: ` : ""}${count(event.steps)} steps over ${count(event.rows)} rows, ${count(event.parameters)} parameters`,
          );
          return live ? bar(0, "preparing") : undefined;
        case "step":
          return live ? bar(event.step, stepText(event)) : line(`step ${stepText(event)}`);
        case "evaluation":
          return line(evaluationText(event));
        case "checkpoint":
          return live ? undefined : line(`checkpoint after step ${event.step}: ${event.folder}`);
      }
    },
    close: clear,
  };
}

/** Most telling first: a narrow terminal cuts the end. */
function stepText(event: Step): string {
  const terms = Object.entries(event.terms);
  const shown = terms.length > 1 ? terms.map(([name, value]) => ` ${name} ${value.toFixed(4)}`).join("") : "";
  return [
    `${event.step}/${event.steps}`,
    `loss ${event.loss.toFixed(4)}${shown}${event.skipped ? " (skipped)" : ""}`,
    `${duration(event.secondsLeft)} left`,
    `${count(event.tokensPerSecond)} tokens/s`,
    bytes(event.memoryBytes),
    `learning rate ${event.learningRate.toPrecision(3)}`,
    ...(event.lossScale === undefined ? [] : [`loss scale ${event.lossScale}, ${event.skippedSteps} skipped`]),
  ].join(", ");
}

function evaluationText({ step, epoch, metrics }: Extract<TrainingEvent, { type: "evaluation" }>): string {
  const cells = metricCells(metrics, metrics.pearson !== undefined).map(([title, value]) => `${title} ${value}`);
  return `evaluation after step ${step} (epoch ${epoch + 1}): ${cells.join(", ")}`;
}
