// The tables of what has been run: each preset beside labels alone, and the stages on plain text.

import { isDeepStrictEqual } from "node:util";
import { Random } from "../../src/random.ts";
import { table } from "../common.ts";
import { type Judgement, type Line, type Measure, plain, unpack } from "./lines.ts";
import { PRESETS, TASKS, trainings } from "./presets.ts";

const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length;
const deviation = (x: readonly number[]) =>
  Math.sqrt(x.reduce((sum, v) => sum + (v - mean(x)) ** 2, 0) / (x.length - 1));
const spread = (x: readonly number[], digits = 1) =>
  mean(x).toFixed(digits) + (x.length > 1 ? ` ± ${deviation(x).toFixed(digits)}` : "");

/**
 * The mean of paired differences [seeds][rows], and where it lies with 95 % of probability: seeds and rows drawn anew with replacement,
 * 10,000 times, the 2.5 and 97.5 percentiles of the means.
 */
function paired(differences: readonly (readonly number[])[]): { mean: number; low: number; high: number } {
  const [S, N] = [differences.length, differences[0].length];
  const random = new Random(0, "bench/quality/bootstrap");
  const means = Array.from({ length: 10_000 }, () => {
    const seeds = Array.from({ length: S }, () => differences[random.below(S)]);
    let sum = 0;
    for (let i = 0; i < N; i++) {
      const row = random.below(N);
      for (const seed of seeds) sum += seed[row];
    }
    return sum / (S * N);
  }).sort((a, b) => a - b);
  return { mean: mean(differences.map(mean)), low: means[250], high: means[9749] };
}

const rightOf = ({ right, rows }: Judgement) => right.flatMap((bits, f) => unpack(bits, rows[f]));
const accuracy = (judged: Judgement) => 100 * mean(rightOf(judged).map(Number));

function groupBy<T>(items: readonly T[], key: (item: T) => unknown): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = JSON.stringify(key(item));
    groups.set(name, [...(groups.get(name) ?? []), item]);
  }
  return [...groups.values()];
}

export function printTables(lines: readonly Line[]): void {
  const students = lines.filter((line) => line.kind === "student");
  for (const group of groupBy(students, ({ settings: { task, rows, teacher } }) => [task, rows, teacher])) {
    if (group.every(({ settings: { preset } }) => preset === "hard")) continue;
    const { task: name, rows, teacher } = group[0].settings;
    const teachers = lines.filter((line) => line.kind === "teacher");
    const taught = teachers.find((line) => line.task === name && line.teacher === teacher);
    const where = `${TASKS[name].heldOut.join(" and ")} together (${taught?.rows.join(" and ")} rows)`;
    console.log(
      `\n${name}: ${rows} training rows, accuracy × 100 on ${where}; teacher ${taught && accuracy(taught).toFixed(1)}\n`,
    );
    const presets = groupBy(
      group.filter(({ settings: { preset } }) => preset in PRESETS),
      ({ settings: { seed, start, ...rest } }) => rest,
    );
    const body = presets.flatMap((cells) => {
      const pairs = cells.flatMap((cell) => {
        const { preset, recipe, training, start, ...shared } = cell.settings;
        const labels = plain(trainings(PRESETS[preset]).labels);
        const other = group.find(({ settings: { preset: name, recipe, training, start, ...rest } }) => {
          return name === "hard" && isDeepStrictEqual([rest, training], [shared, labels]);
        });
        return other ? [[cell, other] as const] : [];
      });
      if (pairs.length === 0) return [];
      const difference = paired(
        pairs.map(([cell, other]) => {
          const without = rightOf(other);
          return rightOf(cell).map((right, i) => Number(right) - Number(without[i]));
        }),
      );
      const of = pairs.map(([cell]) => cell);
      const points = (x: number) => `${x < 0 ? "−" : "+"}${Math.abs(100 * x).toFixed(1)}`;
      return [
        [
          of[0].settings.preset,
          of[0].settings.student,
          of.map(({ settings }) => settings.seed).join(", "),
          `${(of[0].parameters / 1e6).toFixed(1)} M`,
          `${(of[0].bytes / 1e6).toFixed(1)} MB`,
          spread(of.map(({ milliseconds, teacherMilliseconds }) => teacherMilliseconds / milliseconds)),
          spread(pairs.map(([, other]) => accuracy(other))),
          spread(of.map(accuracy)),
          `${points(difference.mean)} (${points(difference.low)} … ${points(difference.high)})`,
          spread(of.map(({ agreement }) => 100 * agreement)),
          spread(
            of.map(({ kl }) => kl),
            3,
          ),
        ],
      ];
    });
    const head = ["preset", "student", "seeds", "parameters", "size", "× faster, batch 1", "labels alone", "preset"];
    console.log(table([...head, "difference (95 %)", "agreement", "KL"], body));
  }
  const texts = lines.filter((line) => line.kind === "text");
  const told = ({ perplexity, loss = Number.NaN }: Measure) => perplexity?.toFixed(0) ?? loss.toPrecision(3);
  const rows = texts.flatMap(({ preset, stages }) =>
    Object.entries(stages).map(([stage, { before, after }]) => {
      const what = before.perplexity === undefined ? "loss" : "perplexity";
      return [preset, stage, what, told(before), told(after)];
    }),
  );
  if (rows.length > 0) console.log(table(["on plain text", "stage", "of held-out text", "before", "after"], rows));
}
