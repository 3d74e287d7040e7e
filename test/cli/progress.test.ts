// What a person sees of a run: one rewritten line on a terminal, plain lines elsewhere.

import { describe, expect, test } from "vitest";
import { duration } from "../../src/cli/output.ts";
import { progressOn } from "../../src/cli/progress.ts";
import type { TrainingEvent } from "../../src/train/run.ts";

const events: TrainingEvent[] = [
  { type: "note", text: "wasm: SIMD" },
  { type: "start", steps: 40, rows: 640, parameters: 1234 },
  {
    ...{ type: "step", step: 10, steps: 40, epoch: 0, loss: 0.5, terms: { soft: 0.25, hard: 0.75 }, gradientNorm: 1 },
    ...{ learningRate: 1e-3, tokensPerSecond: 12345, secondsLeft: 65, memoryBytes: 4.2e6 },
  },
  { type: "evaluation", step: 40, epoch: 0, metrics: { count: 20, accuracy: 0.9, agreement: 0.85 } },
];

function shown(stream: { isTTY: boolean; columns: number }, env: NodeJS.ProcessEnv): string {
  let text = "";
  const progress = progressOn({ ...stream, write: (part: string) => (text += part) }, env);
  for (const event of events) progress.show(event);
  progress.close();
  return text;
}

describe("progress", () => {
  test("plain lines where there is no terminal", () => {
    const lines = shown({ isTTY: false, columns: 0 }, {}).split("\n");
    expect(lines).toEqual([
      "wasm: SIMD",
      "40 steps over 640 rows, 1,234 parameters",
      "step 10/40, loss 0.5000 soft 0.2500 hard 0.7500, 1 min 05 s left, 12,345 tokens/s, 4.2 MB, learning rate 0.00100",
      "evaluation after step 40 (epoch 1): accuracy 90.0 %, agreement 85.0 %",
      "",
    ]);
  });

  test("a bar on a terminal, no wider than it", () => {
    const text = shown({ isTTY: true, columns: 60 }, { NO_COLOR: "1" });
    expect(text).toContain("█████░░░░░░░░░░░░░░░ 10/40, loss 0.5000");
    const rewritten = text.split("\r\x1b[2K").flatMap((part) => part.split("\n"));
    for (const line of rewritten) expect([...line].length).toBeLessThan(80);
    expect(text.endsWith("agreement 85.0 %\n")).toBe(true);
  });

  test("NO_COLOR and dumb terminals get no colours", () => {
    const colour = "\x1b[2m";
    expect(shown({ isTTY: true, columns: 80 }, {})).toContain(colour);
    expect(shown({ isTTY: true, columns: 80 }, { NO_COLOR: "1" })).not.toContain(colour);
    expect(shown({ isTTY: true, columns: 80 }, { TERM: "dumb" })).not.toContain("\x1b");
  });

  test.each([
    [4.25, "4.3 s"],
    [59.6, "1 min 00 s"],
    [3725, "1 h 02 min"],
  ])("%d seconds", (seconds, text) => expect(duration(seconds)).toBe(text));
});
