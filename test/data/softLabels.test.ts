import { describe, expect, test } from "vitest";
import { readDataset } from "../../src/data/dataset.ts";
import type { SoftLabelColumns } from "../../src/data/softLabels.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string, softLabels: SoftLabelColumns, more: object = {}) =>
  readDataset(bytes(text), "f.tsv", { softLabels, ...more });
const [p, z]: SoftLabelColumns[] = [{ columns: ["no", "yes"] }, { columns: ["no", "yes"], form: "logits" }];

test("probabilities are kept as their logarithms, logits as they are", async () => {
  const text = "sentence\tno\tyes\nfine\t0.25\t.75\nbad\t1\t0\n";
  const { examples, softForm, label2id, labelled, notes } = await read(text, p);
  expect(examples.map(({ soft }) => soft)).toEqual([
    [expect.closeTo(Math.log(0.25), 14), expect.closeTo(Math.log(0.75), 14)],
    [0, -1e30],
  ]);
  expect([softForm, label2id, labelled]).toEqual(["probabilities", { no: 0, yes: 1 }, 0]);
  expect(notes[0]).toContain('soft labels: "no", "yes"');
  const raw = await read("sentence\tno\tyes\nfine\t-1.5e1\t2\n", z);
  expect(raw.examples.at(0).soft).toEqual([-15, 2]);
  const lines = '{"text":"a","no":0.5,"yes":0.5}\n{"text":"b","no":0.1,"yes":0.9,"label":"yes"}\n';
  const objects = await readDataset(bytes(lines), "f.jsonl", { softLabels: p });
  expect(objects.examples.at(1)).toMatchObject({
    label: 1,
    soft: [expect.closeTo(Math.log(0.1), 14), expect.closeTo(Math.log(0.9), 14)],
  });
});

describe("which column is which label", () => {
  const ids = async (labels: string[], columns: string[]) => {
    const rows = labels.map((label) => `t${label}\t${label}\t${columns.map(() => 0).join("\t")}\n`);
    const text = `text\tlabel\t${columns.join("\t")}\n${rows.join("")}`;
    return (await read(text, { columns, form: "logits" })).label2id;
  };
  test("by their names, where labels are named so; not every class needs a row", async () => {
    expect(await ids(["yes", "no"], ["yes", "no", "maybe"])).toEqual({ yes: 0, no: 1, maybe: 2 });
  });
  test("integers from 0 are ids", async () => {
    expect(await ids(["2", "0"], ["p0", "p1", "p2"])).toEqual({ 0: 0, 1: 1, 2: 2 });
  });
  test("otherwise in the order of the labels, and then as many", async () => {
    expect(await ids(["yes", "no"], ["p", "q"])).toEqual({ no: 0, yes: 1 });
    expect(await ids(["10", "9"], ["p", "q"])).toEqual({ 9: 0, 10: 1 });
    await expect(ids(["yes", "no"], ["p", "q", "r"])).rejects.toThrow(
      'f.tsv: 3 columns hold soft labels ("p", "q", "r"), and there are 2 different labels ("no", "yes")',
    );
  });
  test("a file without header numbers them", async () => {
    const { label2id } = await read("fine\t1\t2\n", { columns: [1, 2], form: "logits" }, { textColumn: 0 });
    expect(label2id).toEqual({ 0: 0, 1: 1 });
  });
});

describe("refused", () => {
  const HEAD = "sentence\tno\tyes\n";
  test.each<[string, string, string, SoftLabelColumns, object?]>([
    ["NO_COLUMN", `${HEAD}a\t1\t0\n`, 'no column "maybe" (--soft-label-columns)', { columns: ["no", "maybe"] }],
    ["NO_COLUMN", `${HEAD}a\t1\t0\n`, "one column cannot be two of", { columns: ["no", "no"] }],
    [
      "BAD_SOFT_LABELS",
      `${HEAD}a\t1\t0\nb\tx\t0\n`,
      'f.tsv:3: column "no" should hold a number, a soft label; it holds "x"',
      p,
    ],
    [
      "BAD_SOFT_LABELS",
      `${HEAD}a\t1\t\n`,
      'f.tsv:2: column "yes" should hold a number, a soft label; it holds nothing',
      p,
    ],
    ["BAD_SOFT_LABELS", `${HEAD}a\t1\tInfinity\n`, 'it holds "Infinity"', z],
    ["BAD_SOFT_LABELS", `${HEAD}a\t.5\t.6\n`, 'the probabilities in column "no", column "yes" sum to 1.1, not to 1', p],
    [
      "BAD_SOFT_LABELS",
      `${HEAD}a\t-1\t2\n`,
      'column "no" should hold a probability, it holds -1. If these are logits',
      p,
    ],
    [
      "SOFT_LABEL_COUNT",
      `${HEAD}a\t1\t0\n`,
      "1 columns were named for soft labels; each class has one",
      { columns: ["no"] },
    ],
    ["SOFT_LABEL_COUNT", `${HEAD}a\t1\t0\n`, "regression has one", p, { task: "regression" }],
  ])("%s %#", async (code, text, message, columns, more) => {
    const refused = read(text, columns, more);
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });

  test("as many bad rows as are allowed are left out", async () => {
    const { examples } = await read(`${HEAD}a\t1\t0\nb\t1\t1\n`, p, { skipBad: 1 });
    expect(examples).toHaveLength(1);
  });
});
