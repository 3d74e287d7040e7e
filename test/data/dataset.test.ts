import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DatasetOptions, readDataset } from "../../src/data/dataset.ts";

const read = (text: string, file = "f.tsv", options: DatasetOptions = {}) =>
  readDataset(new TextEncoder().encode(text), file, options);
const labels = async (text: string, options: DatasetOptions = {}) =>
  (await read(text, "f.tsv", options)).examples.map(({ label }) => label);

describe("columns", () => {
  test("are found by the names the field uses", async () => {
    const single = await read("label\tsentence\n1\ta b\n0\tc\n");
    expect([...single.examples]).toEqual([
      { text: "a b", label: 1 },
      { text: "c", label: 0 },
    ]);
    expect(single.pair).toBe(false);
    const pair = await read('{"gold_label":"no","Hypothesis":"h","premise":"p"}\n', "f.jsonl");
    expect([...pair.examples]).toEqual([{ text: "p", pair: "h", label: 0 }]);
    expect(pair.label2id).toEqual({ no: 0 });
    expect(pair.pair).toBe(true);
  });

  test("are taken by name or index where told", async () => {
    const options = { textColumn: "2", pairColumn: 0, labelColumn: "1" };
    const { examples, notes } = await read("p\t1\tt\textra\np2\t0\tt2\n", "f.tsv", options);
    expect(examples.map(({ text, pair, label }) => [text, pair, label])).toEqual([
      ["t", "p", 1],
      ["t2", "p2", 0],
    ]);
    expect(notes.join()).toMatch(/line 1 is data/);
    expect((await read("words\tstars\na\t3\n", "f.tsv", { textColumn: "words" })).examples.at(0).text).toBe("a");
  });

  test("that are missing or unclear are an error that lists what is there", async () => {
    await expect(read("a\tb\tc\n")).rejects.toThrow(/Say --text-column .*3 columns \(0 to 2\)/);
    await expect(read("text\tx\na\tb\n", "f.tsv", { labelColumn: "y" })).rejects.toThrow(/"y" .*"text", "x"/);
    await expect(read("text\tlabel\na\tb\n", "f.tsv", { textColumn: "label" })).rejects.toThrow(/cannot be two/);
    await expect(read("a\tb\n", "f.csv", { labelColumn: 1 })).rejects.toThrow(/--format tsv/);
    await expect(read("text\tpair\na\tb\n", "f.tsv", { pairColumn: "pair" })).rejects.toThrow(/--text-column too/);
  });

  test("plain text without a header is unlabelled", async () => {
    const { examples, labelled, label2id } = await read("no movement , no yuks\nfine\n", "f.txt");
    expect(examples.map(({ text }) => text)).toEqual(["no movement , no yuks", "fine"]);
    expect([labelled, label2id]).toEqual([0, undefined]);
  });

  test("only those in use must be in every row", async () => {
    const options = { textColumn: 1, labelColumn: 0 };
    expect((await read("1\ta\tx\ty\n0\tb\n", "f.tsv", options)).examples.length).toBe(2);
    await expect(read("1\ta\n0\n", "f.tsv", options)).rejects.toThrow(/f.tsv:2: the row has no column 1/);
    await expect(read("text\tlabel\na\t1\nb\n")).rejects.toThrow(/f.tsv:3: the row has no label/);
  });
});

describe("texts", () => {
  test("that are empty are malformed, at their line [D3]", async () => {
    await expect(read('text,label\n"a\nb",1\n" ",0\n', "f.csv")).rejects.toThrow(/f.csv:4: the text .* is empty/);
    await expect(read('{"text":5}\n', "f.jsonl")).rejects.toThrow(/f.jsonl:1: .*should hold text, it holds 5/);
    await expect(read('{"label":5}\n{"text":"a"}', "f.jsonl")).rejects.toThrow(
      /f.jsonl:1: the row has no column "text"/,
    );
  });

  test("can be left out up to --skip-bad, and are listed [D1]", async () => {
    const { examples, notes } = await read("text\tlabel\na\t1\n \t0\nb\t0\n", "f.tsv", { skipBad: 1 });
    expect(examples.map(({ text }) => text)).toEqual(["a", "b"]);
    expect(notes.join()).toMatch(/warning: 1 malformed rows left out: line 3: the text/);
  });

  test("must exist [D3]", async () => {
    await expect(read("")).rejects.toThrow(/no rows/);
    await expect(read("\n\n")).rejects.toThrow(/no rows/);
    await expect(read("text\tlabel\n")).rejects.toThrow(/a header and no rows/);
    await expect(read("text\tlabel\n\t1\n", "f.tsv", { skipBad: 1 })).rejects.toThrow(/only malformed rows \(1\)/);
    await expect(read("[]\n", "f.jsonl", { skipBad: 1 })).rejects.toThrow(/only malformed rows \(1\)/);
  });
});

describe("labels of a file alone", () => {
  test("are numbered by name, integers by value", async () => {
    expect((await read("text\tlabel\na\tpos\nb\tneg\n")).label2id).toEqual({ neg: 0, pos: 1 });
    const numbers = await read("text\tlabel\na\t10\nb\t9\nc\t-1\n");
    expect(numbers.examples.map(({ label }) => label)).toEqual([2, 1, 0]);
    expect(numbers.label2id).toEqual({ "-1": 0, "9": 1, "10": 2 });
  });

  test("that are fractions make a regression", async () => {
    const scores = await read("text\tscore\na\t5.000\nb\t3\nc\t\n");
    expect([scores.kind, scores.label2id]).toEqual(["regression", undefined]);
    expect(scores.examples.map(({ label }) => label)).toEqual([5, 3, undefined]);
    expect(await labels("text\tscore\na\t5\nb\t3\n", { task: "regression" })).toEqual([5, 3]);
    expect((await read("text\tlabel\na\t0.5\nb\t1.0\n", "f.tsv", { task: "classification" })).label2id).toEqual({
      "0.5": 0,
      "1.0": 1,
    });
  });

  test("that mix scores and names, or are no scores, are refused [D4]", async () => {
    await expect(read("text\tlabel\na\t0.5\nb\tn/a\n")).rejects.toThrow(/f.tsv:3: .*"n\/a".*0.5 \(line 2\)/);
    await expect(read("text\tlabel\na\tNaN\n", "f.tsv", { task: "regression" })).rejects.toThrow(
      /"NaN" is not a number/,
    );
  });

  test("may be absent row by row", async () => {
    const { examples, labelled, notes } = await read(
      '{"text":"a","label":"x"}\n{"text":"b"}\n{"text":"c","label":null}\n',
      "f.jsonl",
    );
    expect(examples.map(({ label }) => label)).toEqual([0, undefined, undefined]);
    expect(labelled).toBe(1);
    expect(notes.join()).toMatch(/2 of 3 rows have no label/);
  });

  test("of one class are worth a warning [D3]", async () => {
    expect((await read("text\tlabel\na\tx\nb\tx\n")).notes.join()).toMatch(/every label is the same/);
    expect((await read("text\tlabel\na\tx\nb\ty\n")).notes.join()).not.toMatch(/warning/);
  });
});

describe("labels for a model", () => {
  const label2id = { entailment: 0, not_entailment: 1 };

  test("of which some have no row are named [D3]", async () => {
    const three = { label2id: { ...label2id, "no idea": 2 } };
    const { notes } = await read("text\tlabel\na\tentailment\nb\tnot_entailment\n", "f.tsv", three);
    expect(notes).toContain('f.tsv: warning: 1 classes have no row: "no idea"');
    const all = "text\tlabel\na\tentailment\nb\tnot_entailment\nc\tno idea\n";
    expect((await read(all, "f.tsv", three)).notes.join()).not.toMatch(/warning/);
  });

  test("are its names", async () => {
    expect(await labels("text\tlabel\na\tnot_entailment\nb\tentailment\n", { label2id })).toEqual([1, 0]);
  });

  test("may be ids when no value is a name, and the notes say so", async () => {
    const { examples, notes } = await read("text\tlabel\na\t1\nb\t0\n", "f.tsv", { label2id });
    expect(examples.map(({ label }) => label)).toEqual([1, 0]);
    expect(notes.join()).toMatch(/taken as ids/);
  });

  test("that are digits go by name before they go by id", async () => {
    expect(await labels("text\tlabel\na\t1\nb\t0\n", { label2id: { "1": 0, "0": 1 } })).toEqual([0, 1]);
  });

  const failures: [string, RegExp][] = [
    ["a\tentailment\nb\t1\n", /f.tsv:3: the label "1" is not one of the model's: "entailment", "not_entailment"/],
    ["a\t1\nb\t2\n", /f.tsv:3: the label "2" .*count from 1/],
    ["a\t0\nb\t-1\n", /f.tsv:3: the label "-1" is no id from 0 to 1.*"entailment"/],
    ["a\t0\nb\t0.5\n", /f.tsv:2: the label "0" is not one/],
    ["a\tEntailment\n", /f.tsv:2: the label "Entailment"/],
  ];
  for (const [rows, message] of failures) {
    test(`${JSON.stringify(rows)} is outside the map [D4]`, async () => {
      const options = { label2id };
      await expect(read(`text\tlabel\n${rows}`, "f.tsv", options)).rejects.toThrow(message);
      await expect(read(`text\tlabel\n${rows}`, "f.tsv", options)).rejects.toMatchObject({ code: "BAD_LABEL" });
    });
  }

  test("outside the map can be left out up to --skip-bad", async () => {
    const { examples } = await read("text\tlabel\na\tentailment\nb\t?\n", "f.tsv", { label2id, skipBad: 1 });
    expect([...examples]).toEqual([{ text: "a", label: 0 }]);
  });
});

test("the fingerprint is the SHA-256 of the bytes", async () => {
  const text = "text\tlabel\na\tx\n";
  expect((await read(text)).fingerprint).toBe(createHash("sha256").update(text).digest("hex"));
});

test("repeated texts are counted [D3]", async () => {
  expect((await read("text\tlabel\na\tx\na\ty\n")).notes.join()).toMatch(/1 rows repeat/);
});

const data = process.env.LIMBECK_DATA ?? "";
describe.skipIf(!existsSync(join(data, "sst2")))("real files are read by options alone (LIMBECK_DATA)", () => {
  const stsb: DatasetOptions = { format: "tsv", textColumn: 5, pairColumn: 6, labelColumn: 4 };
  const files: [string, number, DatasetOptions, Partial<Awaited<ReturnType<typeof read>>>][] = [
    ["sst2/train.tsv", 67349, {}, { label2id: { "0": 0, "1": 1 }, pair: false }],
    ["mrpc/msr_paraphrase_train.txt", 4076, {}, { label2id: { "0": 0, "1": 1 }, pair: true }],
    ["rte/dev.tsv", 277, {}, { label2id: { entailment: 0, not_entailment: 1 }, pair: true }],
    ["stsb/sts-train.csv", 5749, stsb, { kind: "regression", pair: true }],
    ["trec6/TREC.train.all", 5452, { format: "trec", encoding: "latin1" }, { pair: false }],
    ["banking77/train.csv", 10003, {}, { pair: false }],
    ["imdb/unlabelled.jsonl", 20000, {}, { labelled: 0 }],
  ];
  for (const [file, count, options, expected] of files) {
    test(file, async () => {
      const dataset = await readDataset(readFileSync(join(data, file)), file, options);
      expect(dataset.examples.length).toBe(count);
      expect(dataset).toMatchObject(expected);
    });
  }
});
