// What is kept of a file of rows: at most twice its size beside it, as measured after a collection, also where rows are so short that each as a
// string would be twenty times as long. What cells of JSON hold is made one row at a time. (Of inputs that are mutated, bench/fuzz.ts takes samples.)

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { type Dataset, type DatasetOptions, readDataset } from "../../src/data/dataset.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function used(): number {
  for (let i = 0; i < 3; i++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const SIZE = 1 << 20;
const SLACK = 1 << 19;

function file(head: string, part: (i: number) => string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SIZE);
  const encoder = new TextEncoder();
  let at = encoder.encodeInto(head, bytes).written;
  for (let i = 0; at < SIZE - 100; i++) at += encoder.encodeInto(part(i), bytes.subarray(at)).written;
  return bytes.slice(0, at);
}

const sentence = (i: number) => `number ${i} has no movement and no yuks`;
const soft = { softLabels: { columns: ["p", "q"] } };
const forms: [name: string, file: string, head: string, part: (i: number) => string, options?: DatasetOptions][] = [
  ["sentences", "f.tsv", "text\tlabel\n", (i) => `${sentence(i)}\t${i % 2}\n`],
  ["sentences behind a character of two units", "f.tsv", "text\tlabel\n😀\t1\n", (i) => `${sentence(i)}\t${i % 2}\n`],
  ["two letters a row", "f.tsv", "text\tlabel\n", () => "a\tb\n"],
  ["a letter a row", "f.txt", "", () => "a\n"],
  ["short rows, all different", "f.txt", "", (i) => `${i.toString(36)}\n`],
  ["a letter a row, quoted", "f.csv", "text,label\n", (i) => `"a",${i % 2}\n`],
  ["a letter an object", "f.jsonl", "", () => `{"text":"a"}\n`],
  ["a name of its own for each object", "f.jsonl", "", (i) => `{"text":"a","k${i}":1}\n`],
  ["scores, all different", "f.tsv", "text\tscore\n", (i) => `a\t${i}.5\n`, { task: "regression" }],
  ["soft labels", "f.tsv", "text\tp\tq\n", () => "a\t0\t1\n", soft],
  ["rows that are no rows", "f.tsv", "text\na\n", () => "\0\n", { skipBad: SIZE }],
];

test.each(forms)("of %s (%s)", async (_, name, head, part, options) => {
  const bytes = file(head, part);
  const before = used();
  const kept: Dataset[] = [await readDataset(bytes, name, options)];
  expect(used() - before).toBeLessThan(2 * bytes.length + SLACK);
  expect(kept[0].examples.at(0).text).not.toBe("");
});

test("this would be seen: the rows as objects", async () => {
  const bytes = file("text\tlabel\n", () => "a\tb\n");
  const { examples } = await readDataset(bytes, "f.tsv");
  const before = used();
  const kept = [...examples];
  expect(used() - before).toBeGreaterThan(2 * bytes.length + SLACK);
  expect(kept).toHaveLength(examples.length);
});

test("labels that are nearly all different make no vocabulary of classes", async () => {
  const reading = readDataset(
    file("text\tlabel\n", (i) => `a\tl${i}\n`),
    "f.tsv",
  );
  await expect(reading).rejects.toMatchObject({ code: "TOO_MANY_LABELS", where: "f.tsv" });
});
