// limbeck/infer says what the whole library says, and stays small.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { grammarTokenizer, writeReviews } from "../src/cli/grammar.ts";
import { type Files, memoryFiles } from "../src/formats/files.ts";
import { writeModelFolder } from "../src/formats/huggingface.ts";
import { loadModel as loadTrained } from "../src/index.ts";
import { loadModel } from "../src/infer.ts";
import { bert } from "../src/models/bert.ts";
import { parseConfig } from "../src/models/index.ts";
import { BATCH } from "../src/train/evaluate.ts";
import { freshWeights } from "../src/train/model.ts";
import { forwardProgram } from "../src/train/programs.ts";
import { tinyConfig } from "./train/tiny.ts";

const root = new URL("..", import.meta.url);

async function folder(): Promise<Files> {
  const tokenizer = grammarTokenizer();
  const config = { ...tinyConfig(2), vocab_size: tokenizer.vocabularySize };
  const files = memoryFiles();
  const model = { config, format: bert, weights: freshWeights(config, 1), tokenizerFiles: tokenizer.files, readme: "" };
  await writeModelFolder(files, model);
  return files;
}

const texts = writeReviews(1, "texts", 2 * BATCH + 5).map(({ text }) => text);

describe("limbeck/infer", () => {
  test("predicts what the library predicts on one thread, bit for bit, together and one by one", async () => {
    const files = await folder();
    using whole = await loadTrained(files, { device: "wasm", threads: 1 });
    using student = await loadModel(files);
    expect(await student.predict(texts)).toEqual(await whole.predict(texts));
    expect(await student.predict(texts.slice(0, 1))).toEqual(await whole.predict(texts.slice(0, 1)));
    expect(await student.predict([])).toEqual([]);
  });

  test("a stream is answered in order: at once as far as it came, together what is there", async () => {
    using student = await loadModel(await folder());
    const labels = (await student.predict(texts)).map(({ label }) => label);
    const sizes: number[] = [];
    const { predict } = student;
    student.predict = (some) => {
      sizes.push(some.length);
      return predict.call(student, some);
    };
    const found: (string | undefined)[] = [];
    for await (const { label } of student.stream(texts)) found.push(label);
    expect(found).toEqual(labels);
    expect(sizes).toEqual([BATCH, BATCH, 5]);

    // The next text is only sent when the answer to the last one is there.
    let answered: () => void = () => {};
    async function* questions() {
      for (const text of texts.slice(0, 3)) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve;
        });
        yield text;
        await answer;
      }
    }
    const answers: (string | undefined)[] = [];
    for await (const { label } of student.stream(questions())) {
      answers.push(label);
      answered();
    }
    expect(answers).toEqual(labels.slice(0, 3));
  });

  test("a stream that is left or fails closes its source", async () => {
    using student = await loadModel(await folder());
    let closed = 0;
    async function* endless() {
      try {
        for (;;) yield texts[0];
      } finally {
        closed++;
      }
    }
    for await (const _ of student.stream(endless())) break;
    expect(closed).toBe(1);
    async function* failing() {
      yield texts[0];
      throw new Error("the source failed");
    }
    await expect(async () => {
      for await (const _ of student.stream(failing()));
    }).rejects.toThrow("the source failed");
  });

  test("the inference kernels have every op of every family's forward pass", () => {
    const source = readFileSync(new URL("assembly/inference.ts", root), "utf8");
    for (const name of ["bert-a", "bilstm-a", "bilstm-b", "distilbert-a", "ibbert-a", "mobilebert-a", "mobilebert-c"]) {
      const config = parseConfig(readFileSync(new URL(`fixtures/${name}/config.json`, import.meta.url), "utf8"), name);
      const { instructions } = forwardProgram({ owner: "m", config }, { sequences: 2, rows: 64, longest: 16 });
      for (const { op } of instructions) expect(source).toContain(`Opcode.${op.name}:`);
    }
  });
});

describe("size: gzipped, the script and the kernels that one load fetches", () => {
  const kilobytes = (...files: string[]) =>
    files.reduce((sum, file) => sum + gzipSync(readFileSync(new URL(`dist/${file}`, root)), { level: 9 }).length, 0) /
    1000;

  test("limbeck/infer, tokenizer included, is at most 60 KB", () => {
    for (const runtime of ["browser", "workerd"])
      expect(kilobytes(`infer.${runtime}.js`, "limbeck.inference.wasm")).toBeLessThanOrEqual(60);
  });

  test.each([
    ["limbeck", ["index.browser.js"]],
    ["limbeck/web", ["web.js", "web.worker.js"]],
  ])("%s is at most 200 KB", (_, scripts) => {
    for (const build of ["single", "threads", "fast.single", "fast.threads"])
      expect(kilobytes(...scripts, "thread.browser.js", `limbeck.${build}.wasm`)).toBeLessThanOrEqual(200);
  });
});
