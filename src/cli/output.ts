// What a command says: words for people, and with --json one JSON object per line on stdout, people's words then on stderr.

import type { WriteStream } from "node:tty";
import { printJson } from "../formats/json.ts";
import type { Metrics } from "../train/metrics.ts";

export interface Output {
  readonly json: boolean;
  /** The answer of the command: on stdout, or under --json on stderr. */
  say(text: string): void;
  /** Remarks beside the answer: on stderr. */
  remark(text: string): void;
  /** A machine line; without --json nothing. */
  emit<T extends { readonly type: string }>(object: T): void;
}

export function outputFor(json: boolean): Output {
  return {
    json,
    say: (text) => (json ? process.stderr : process.stdout).write(`${text}\n`),
    remark: (text) => process.stderr.write(`${text}\n`),
    emit: (object) => {
      if (json) process.stdout.write(`${printJson(object)}\n`);
    },
  };
}

/** Colours where a terminal shows them and nobody asked for none (no-color.org). */
export function coloured(stream: Pick<WriteStream, "isTTY">, env: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
}

const percent = (x: number) => `${(100 * x).toFixed(1)} %`;

/** Title and value of each metric, as a table of two columns or one line shows them. */
export function metricCells(metrics: Metrics, regression: boolean): [title: string, value: string][] {
  const { loss, perplexity, accuracy, f1, matthews, pearson, spearman, agreement } = metrics;
  const cells: [string, string | undefined][] = [
    ["loss", loss?.toFixed(4)],
    ["perplexity", perplexity?.toFixed(1)],
    ["accuracy", accuracy === undefined ? undefined : percent(accuracy)],
    ["F1", f1?.toFixed(3)],
    ["Matthews", matthews?.toFixed(3)],
    ["Pearson", pearson?.toFixed(3)],
    ["Spearman", spearman?.toFixed(3)],
    ["agreement", agreement === undefined ? undefined : regression ? agreement.toFixed(3) : percent(agreement)],
  ];
  return cells.filter((cell): cell is [string, string] => cell[1] !== undefined);
}

export const count = (n: number) => Math.round(n).toLocaleString("en");

/** 1,234,567 bytes → "1.2 MB". */
export function bytes(n: number): string {
  const [value, unit] = n >= 1e9 ? [n / 1e9, "GB"] : [n / 1e6, "MB"];
  return `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}

/** 3725 → "1 h 02 min"; 65 → "1 min 05 s"; 4.2 → "4.2 s". */
export function duration(seconds: number): string {
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two((whole % 3600) / 60)} min`;
}

/** Columns side by side: the first flush left, the others flush right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows
    .map((row) => row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join("  "))
    .map((line) => line.trimEnd())
    .join("\n");
}
