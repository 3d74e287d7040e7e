// The built command as its users meet it: child processes, exit codes, streams and files.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { firstNonfinite, parseSafetensors, toFloat32 } from "../../src/formats/safetensors.ts";
import { webgpu } from "../executors/each.ts";
import { makeTiny, type Tiny } from "./tiny.ts";

const command = new URL("../../dist/cli.js", import.meta.url).pathname;
let tiny: Tiny;

beforeAll(async () => {
  if (!existsSync(command)) throw new Error("dist/cli.js is missing: run `npm run build`");
  tiny = await makeTiny();
});
afterAll(() => tiny?.remove());

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(args: readonly string[]): { child: ChildProcessWithoutNullStreams; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [command, ...args], { cwd: tiny.folder });
  const read = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      read[name] += text;
    });
  return { child, ended: new Promise((resolve) => child.on("close", (code) => resolve({ code, ...read }))) };
}

function limbeck(args: string, input = ""): Promise<Ended> {
  const { child, ended } = start(args.split(" "));
  child.stdin.end(input);
  return ended;
}

const read = (name: string) => readFile(join(tiny.folder, name), "utf8");
const file = (name: string, text: string) => writeFile(join(tiny.folder, name), text);
const lines = (text: string) => text.trim().split("\n");
const objects = (text: string) => lines(text).map((line) => JSON.parse(line));
const SMALL = "--train train.tsv --threads 1 --max-steps 3 --batch-size 8";

describe("usage", () => {
  test.each([
    ["", "Usage: limbeck"],
    ["distil", "unknown command 'distil'\n(Did you mean distill?)"],
    ["finetune --epoch 3", "unknown option '--epoch'\n(Did you mean --epochs?)"],
    ["finetune --epochs many", `argument 'many' is invalid. expected a number, found "many"`],
    ["distill --layer-map 2,x", `expected layer numbers such as 2,4, found "2,x"`],
    ["evaluate --device gpu", `expected one of auto, wasm, webgpu, reference, found "gpu"`],
    ["finetune --train train.tsv", "--model and --out are needed"],
    ["pretrain --model base", "--text and --out are needed"],
    ["plan --train train.tsv", "say --teacher and --student for a distillation, or --model for a fine-tuning"],
    [`distill --student base --out x ${SMALL}`, "--teacher is needed"],
    [`distill --student base --out x ${SMALL} --soft-label-form logits`, "name them"],
    [`finetune --model base --out x ${SMALL} --warmup-ratio 2`, "--warmup-ratio: 2 is not a number from 0 to 1."],
    ["predict --model nowhere text", "nowhere: there is no such folder"],
    ["predict --model base text", "this model has no classifier yet"],
    ["evaluate --gpu-features f64", `expected some of subgroups, timestamp-query, shader-f16, or none, found "f64"`],
    [`finetune --model base --out x ${SMALL} --profile --device reference`, "the reference executor is not timed"],
    [
      `finetune --model base --out x ${SMALL} --fp16 --device wasm`,
      "--fp16: half precision needs a GPU with shader-f16",
    ],
  ])("limbeck %s: exit 2 and one message", async (args, message) => {
    const { code, stdout, stderr } = await (args === "" ? start([]).ended : limbeck(args));
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("help and version go to stdout and succeed", async () => {
    const help = await limbeck("--help");
    expect(help.code).toBe(0);
    for (const name of ["finetune", "distill", "evaluate", "predict", "plan"]) expect(help.stdout).toContain(name);
    const distill = await limbeck("distill --help");
    for (const flag of ["--layer-map", "--no-normalize", "--gradient-accumulation-steps", "--skip-bad", "--config"])
      expect(distill.stdout).toContain(flag);
    expect((await limbeck("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("finetune, distill, evaluate, predict, plan: each on what the one before left", () => {
  test("finetune: machine lines on stdout, words on stderr, a folder", async () => {
    const { code, stdout, stderr } = await limbeck(
      `finetune --model base --eval dev.tsv --out teacher --json ${SMALL}`,
    );
    expect(code, stderr).toBe(0);
    const events = objects(stdout);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(["note", "start", "step", "evaluation"]));
    expect(events.at(-1)).toMatchObject({ type: "result", steps: 3, complete: true, out: "teacher" });
    expect(events.find(({ type }) => type === "step").terms).toHaveProperty("hard");
    expect(stderr).toContain("fresh classifier.weight, classifier.bias");
    expect(stderr).toMatch(/step 3\/3, loss \d/);
    expect(stderr).not.toContain("\x1b");
    const files = await readdir(join(tiny.folder, "teacher"));
    expect(files).toEqual(
      expect.arrayContaining(["config.json", "limbeck.json", "metrics.jsonl", "model.safetensors"]),
    );
  });

  test("distill: a table on stdout, and one of the kernels", async () => {
    const { code, stdout, stderr } = await limbeck(
      `distill --teacher teacher --student layers:1 --temperature 2 --eval dev.tsv --out student --profile --device wasm ${SMALL}`,
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/\| teacher \|.*\n\| student \|/);
    expect(stdout).toMatch(
      /\| kernel \| calls \| ms \| of all \| GFLOP\/s \| GB\/s \| of the limit \|\n[\s\S]*\| matmul \| \d+ \| [\d.]+ \| [\d.]+ % \| [\d.]+ \|/,
    );
    expect(stdout).toContain("saved in student");
    expect(JSON.parse(await read("student/limbeck.json")).options).toMatchObject({ temperature: 2, recipe: "kd" });
  });

  test("an output folder that exists is refused, or replaced by --overwrite", async () => {
    const args = "distill --teacher teacher --student layers:2 --recipe pkd-skip --layer-map 1 --no-normalize";
    const taken = await limbeck(`${args} --out student ${SMALL}`);
    expect(taken.code).toBe(2);
    expect(taken.stderr).toContain("student");
    expect(taken.stderr).toContain("--overwrite");
    const { code, stderr } = await limbeck(`${args} --out student --overwrite ${SMALL}`);
    expect(code, stderr).toBe(0);
    const { options, recipe } = JSON.parse(await read("student/limbeck.json"));
    expect(options).toMatchObject({ teacher: ["teacher"], recipe: "pkd-skip", beta: 100 });
    const { patience } = recipe.stages.task.terms;
    expect(patience).toEqual({
      loss: "mse",
      of: "cls",
      map: "skip",
      teacherLayers: [1],
      reduction: "mean",
      weight: "beta",
    });
    const ensemble = await limbeck(`distill --teacher teacher,teacher --student layers:1 --out ensemble ${SMALL}`);
    expect(ensemble.code, ensemble.stderr).toBe(0);
    expect(JSON.parse(await read("ensemble/limbeck.json")).options.teacher).toEqual(["teacher", "teacher"]);
  });

  test("soft labels of the file in place of a teacher", async () => {
    const rows = lines(await read("train.tsv")).slice(1);
    const soft = rows.map((row) => `${row}\t${row.endsWith("positive") ? "0.1\t0.9" : "0.8\t0.2"}`);
    await file("soft.tsv", `sentence\tlabel\tno\tyes\n${soft.join("\n")}\n`);
    const args =
      "--student teacher --soft-label-columns no,yes --train soft.tsv --threads 1 --max-steps 3 --batch-size 8";
    const { code, stderr, stdout } = await limbeck(`distill ${args} --eval dev.tsv --out soft`);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/\| student \|/);
    expect(JSON.parse(await read("soft/limbeck.json")).options).toMatchObject({
      ...{ teacher: [], softLabels: { columns: ["no", "yes"], form: "probabilities" } },
    });
    const planned = await limbeck(`plan ${args}`);
    expect(planned.code, planned.stderr).toBe(0);
    expect(planned.stdout).toContain("training time, about");
  });

  test("a teacher cache", async () => {
    const args = `distill --teacher teacher --student layers:1 --train train.tsv --threads 1 --epochs 1 --out cached --overwrite`;
    const cache = "--cache kept --cache-size 5 --cache-precision f32 --device wasm";
    const first = await limbeck(`${args} ${cache}`);
    expect(first.code, first.stderr).toBe(0);
    expect(first.stderr).toContain("teacher cache: logits of 64 rows (1 MB) go into kept");
    const { weights, options } = JSON.parse(await read("cached/limbeck.json"));
    expect(options.cachePrecision).toBe("f32");
    const second = await limbeck(`${args} ${cache}`);
    expect(second.stderr).toContain("teacher cache: logits of 64 rows (1 MB) are in kept");
    const without = await limbeck(`${args} --device wasm`);
    expect(without.code, without.stderr).toBe(0);
    expect(JSON.parse(await read("cached/limbeck.json")).weights).toEqual(weights);
    const alone = await limbeck(`${args} --cache-size 5`);
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining("name its folder with --cache")]);
  });

  test("a recipe is printed, changed and followed; numbers may change over the training", async () => {
    const list = await limbeck("recipes");
    expect(list.code, list.stderr).toBe(0);
    expect(list.stdout).toMatch(/^hard +labels alone$/m);
    expect(objects((await limbeck("recipes --json")).stdout)).toContainEqual(expect.objectContaining({ name: "kd" }));
    const { stdout } = await limbeck("recipes pkd-skip");
    const recipe = { ...JSON.parse(stdout), name: "mine" };
    recipe.stages = { first: { terms: { hard: { loss: "labels" } } }, ...recipe.stages };
    await file("mine.json", JSON.stringify(recipe));
    const args = "distill --teacher teacher --student layers:2 --recipe mine.json --layer-map 1";
    const { code, stderr } = await limbeck(
      `${args} --temperature 4:1 --stage first.epochs=0 --stage first.max-steps=2 --out mine ${SMALL}`,
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/first: 2 steps over/);
    const { options, stages } = JSON.parse(await read("mine/limbeck.json"));
    expect(options).toMatchObject({ recipe: "mine", temperature: { from: 4, to: 1, curve: "linear" } });
    expect(stages.first).toMatchObject({ maxSteps: 2, batchSize: 32 });

    await file("mine.json", JSON.stringify({ ...recipe, hyper: { temperature: 4, alpha: 0.7 } }));
    const refused = await limbeck(`${args} --out refused ${SMALL}`);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('mine.json: stages.task.terms.patience.weight: "hyper" has no beta.');
    expect((await limbeck(`${args} --temperature 4:x --out refused ${SMALL}`)).code).toBe(2);
    expect((await limbeck(`${args} --stage first.epochs --out refused ${SMALL}`)).code).toBe(2);
    expect(existsSync(join(tiny.folder, "refused"))).toBe(false);
  });

  test("pretrain: a masked-LM head on two texts, and a student of it without rows of a task", async () => {
    await file("one.txt", "the soup was bland\n\nthe bread was crisp\n");
    const numbers = "--threads 1 --max-steps 2 --batch-size 8";
    const { code, stdout, stderr } = await limbeck(
      `pretrain --model base --text train.tsv --text one.txt --train-body --out mlm ${numbers} --json`,
    );
    expect([code, stderr.match(/perplexity \d/g)?.length]).toEqual([0, 2]);
    expect(objects(stdout).at(-1)).toMatchObject({ type: "result", out: "mlm", complete: true });
    const made = await limbeck(
      `distill --recipe mlm --teacher mlm --student distilbert:layers:1 --text train.tsv --out masked ${numbers}`,
    );
    expect([made.code, JSON.parse(await read("masked/config.json")).architectures]).toEqual([
      0,
      ["DistilBertForMaskedLM"],
    ]);
  });

  test("evaluate", async () => {
    const words = await limbeck("evaluate --model teacher --data dev.tsv --threads 1");
    expect(words.code, words.stderr).toBe(0);
    expect(words.stdout).toMatch(/^loss +\d\.\d{4}\naccuracy +[\d.]+ %\nF1 +[\d.]+\nMatthews +-?[\d.]+\n/);
    const { stdout } = await limbeck("evaluate --model teacher --data dev.tsv --threads 1 --json");
    const [evaluation] = objects(stdout);
    expect(evaluation).toMatchObject({ type: "evaluation", rows: 20, metrics: { count: 20 } });
    expect(evaluation.millisecondsPerSentence).toBeGreaterThan(0);
    // A barely trained model of two classes is about as good as a coin.
    expect(Math.abs(evaluation.metrics.loss - Math.LN2)).toBeLessThan(0.4);
  });

  test.skipIf(webgpu.missing)(
    `evaluate on ${webgpu.name}: the same numbers, the adapter named, and an end`,
    async () => {
      const { code, stdout, stderr } = await limbeck("evaluate --model teacher --data dev.tsv --device webgpu --json");
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/webgpu: .+, \d+ kernels agree with the reference to \S+/);
      const [onGpu] = objects(stdout);
      const [onWasm] = objects((await limbeck("evaluate --model teacher --data dev.tsv --device wasm --json")).stdout);
      expect(Math.abs(onGpu.metrics.loss - onWasm.metrics.loss)).toBeLessThan(1e-5);
    },
  );

  test.skipIf(webgpu.missing)(`finetune on ${webgpu.name} leaves what it ran on, and ends by itself`, async () => {
    const { code, stderr } = await limbeck(`finetune --model base --out onGpu --device webgpu ${SMALL}`);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(await read("onGpu/limbeck.json")).device).toMatch(/^webgpu: .+, \d+ kernels agree/);
  });

  test("auto says what it chose and why, once", async () => {
    const { code, stdout, stderr } = await limbeck(`finetune --model base --out chosen --json ${SMALL}`);
    expect(code, stderr).toBe(0);
    const { device } = JSON.parse(await read("chosen/limbeck.json"));
    expect(device).toMatch(/^(webgpu: .+ agree with the reference|wasm: .+, 1 thread, because .)/);
    expect(objects(stdout).filter(({ text }) => text === device)).toHaveLength(1);
    expect(stderr.split(device)).toHaveLength(2);
  });

  test("predict: arguments, lines, pairs, JSON", async () => {
    const { child, ended } = start(["predict", "--model", "teacher", "a good room", "a bad one"]);
    child.stdin.end();
    const given = await ended;
    expect(given.code, given.stderr).toBe(0);
    expect(given.stdout).toMatch(/^((negative|positive)\t[01]\.\d{4}\n){2}$/);
    const piped = await limbeck("predict --model teacher", "a good room\r\na bad one\n\nthe last");
    expect(lines(piped.stdout)).toHaveLength(4);
    expect(lines(piped.stdout).slice(0, 2)).toEqual(lines(given.stdout));
    const pairs = await limbeck("predict --model teacher --pair --json", "a good room\tit was good\n");
    expect(objects(pairs.stdout)).toMatchObject([{ type: "prediction", text: "a good room", pair: "it was good" }]);
    const bad = await limbeck("predict --model teacher --pair", "a\tb\nno tab\n");
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain("stdin:2");
  });

  test("predict says when texts were cut", async () => {
    const { code, stderr } = await limbeck(
      "predict --model teacher --max-length 8",
      "one two three four five six seven\n",
    );
    expect(code).toBe(0);
    expect(stderr).toContain("1 of 1 texts");
  });

  test("plan", async () => {
    const { code, stdout, stderr } = await limbeck(`plan --teacher teacher --student bert:1x16x2 --json ${SMALL}`);
    expect(code, stderr).toBe(0);
    expect(objects(stdout)[0]).toMatchObject({ type: "plan", steps: 3, rows: 64 });
    expect(stderr).toContain("training time, about");
    // What would be refused after hours is refused here.
    expect((await limbeck(`plan --model base --out teacher ${SMALL}`)).code).toBe(2);
  });
});

describe("configuration files", () => {
  test("stand under flags; keys may be written in three ways", async () => {
    await file(
      "run.json",
      JSON.stringify({ model: "base", train: "train.tsv", max_steps: 2, "batch-size": 4, learningRate: 0.001 }),
    );
    const { code, stderr } = await limbeck("finetune --config run.json --out configured --threads 1 --max-steps 1");
    expect(code, stderr).toBe(0);
    const { options, steps } = JSON.parse(await read("configured/limbeck.json"));
    expect(options).toMatchObject({ maxSteps: 1, batchSize: 4, learningRate: 0.001 });
    expect(steps.done).toBe(1);
  });

  test.each([
    ['{"epoch": 3}', "run.json: epoch: limbeck finetune has no such option; did you mean epochs?"],
    ['{"epochs": "3"}', 'run.json: epochs: expected a number, found "3".'],
    ['{"batch_size": 0}', "run.json: batch_size: 0 is not an integer from 1 to 65536."],
    ['{"max-steps": 1, "maxSteps": 2}', 'run.json: maxSteps: the same option stands there as "max-steps".'],
    ['{"student": "layers:1"}', "run.json: student: limbeck finetune has no such option"],
    ['{"epochs": 3', "run.json: "],
    ["[]", "run.json: expected a JSON object of options."],
  ])("%s is refused", async (text, message) => {
    await file("run.json", text);
    const { code, stderr } = await limbeck("finetune --config run.json --out refused");
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(existsSync(join(tiny.folder, "refused"))).toBe(false);
  });
});

describe("runs that end early", () => {
  test("Ctrl-C: the step is finished, the model saved, exit 130 [L2]", async () => {
    const { child, ended } = start(
      "finetune --model base --train train.tsv --out stopped --threads 1 --epochs 150 --logging-steps 1 --json".split(
        " ",
      ),
    );
    child.stdout.on("data", (text: string) => {
      if (text.includes('"type":"step"') && !child.killed) child.kill("SIGINT");
    });
    const { code, stdout, stderr } = await ended;
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("stopping after this step");
    const result = objects(stdout).at(-1);
    expect(result).toMatchObject({ type: "result", complete: false });
    const saved = JSON.parse(await read("stopped/limbeck.json"));
    expect(saved).toMatchObject({ complete: false, steps: { done: result.steps } });
    expect((await limbeck("predict --model stopped", "fine\n")).code).toBe(0);
  });

  test("a second process is refused while one trains; Ctrl-C twice ends at once; --resume goes on, and then finds nothing to do [C10] [L2]", async () => {
    const args = "finetune --model base --train train.tsv --out shared --threads 1 --epochs 100 --save-steps 5";
    const { child, ended } = start(args.split(" "));
    const begun = new Promise<void>((resolve) =>
      child.stderr.on("data", (text: string) => text.includes("checkpoint after step 5:") && resolve()),
    );
    await begun;
    const second = await limbeck(`${args} --resume`);
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining(`process ${child.pid} on`)]);
    child.kill("SIGINT");
    child.kill("SIGINT");
    child.stderr.on("data", () => child.kill("SIGINT"));
    expect((await ended).code).toBe(130);
    const changed = await limbeck(`${args} --resume --seed 3`);
    expect([changed.code, changed.stderr]).toEqual([2, expect.stringContaining("  stages.task.seed: 42 → 3\n")]);
    const third = await limbeck(`${args} --resume`);
    expect(third.code, third.stderr).toBe(0);
    expect(third.stderr).toMatch(/goes on behind shared[/]checkpoint-\d+/);
    const before = await read("shared/limbeck.json");
    const fourth = await limbeck(`${args} --resume`);
    expect([fourth.code, fourth.stderr]).toEqual([
      0,
      "the run in shared is complete; data and models are read to see whether they are still the same\n" +
        "the run in shared is finished: nothing is changed\n",
    ]);
    expect(await read("shared/limbeck.json")).toBe(before);
  });

  test("a disk that becomes full: said, the checkpoint before stays; with room again --resume ends with the same bytes [C6]", async ({
    skip,
  }) => {
    const disk = join(tiny.folder, "disk");
    await mkdir(disk);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", disk]);
    skip(mounted.status !== 0, "no file system of a few megabytes can be mounted here");
    try {
      const args = "finetune --model base --train train.tsv --threads 1 --epochs 150 --save-steps 3 --max-steps 30";
      const small = await limbeck(`${args} --out disk/small --save-total-limit 9`);
      expect([small.code, small.stderr]).toEqual([
        1,
        expect.stringMatching(/disk\/small: [\d,]+ bytes are free, and the run/),
      ]);
      const { child, ended } = start(`${args} --out disk/out`.split(" "));
      let filled = false;
      child.stderr.on("data", (text: string) => {
        if (filled || !text.includes("checkpoint after step 6:")) return;
        filled = true;
        // Whole pages, then the rest of the last one.
        for (const size of [65536, 4096])
          try {
            for (;;) appendFileSync(join(disk, "filler"), new Uint8Array(size));
          } catch {}
      });
      const { code, stderr } = await ended;
      expect([code, stderr]).toEqual([1, expect.stringMatching(/no space is left on the disk/)]);
      await rm(join(disk, "filler"));
      const resumed = await limbeck(`${args} --out disk/out --resume`);
      expect([resumed.code, resumed.stderr]).toEqual([
        0,
        expect.stringMatching(/goes on behind disk\/out\/checkpoint-\d+/),
      ]);
      const whole = await limbeck(`${args} --out whole`);
      expect(whole.code).toBe(0);
      const weights = (folder: string) => readFile(join(tiny.folder, folder, "model.safetensors"));
      expect((await weights("disk/out")).equals(await weights("whole"))).toBe(true);
    } finally {
      spawnSync("umount", [disk]);
    }
  });

  test("a loss that is no number: skipped and logged as it is, then exit 1; all that is kept is finite [N1]", async () => {
    const { code, stdout, stderr } = await limbeck(
      `finetune --model base --out lost --learning-rate 1e9 --warmup-ratio 0 --max-grad-norm 0 --max-bad-steps 2 --logging-steps 1 --save-steps 1 --json ${SMALL}0`,
    );
    expect(code, stderr).toBe(1);
    expect(objects(stdout).at(-1)).toMatchObject({ type: "error", code: "NONFINITE_LOSS" });
    expect(stderr).toContain("--learning-rate");
    expect(stderr.match(/^step \d+ was skipped: the loss is NaN /gm)).toHaveLength(2);
    const record = JSON.parse(await read("lost/limbeck.json"));
    expect(record).toMatchObject({ complete: false, stopped: expect.stringMatching(/^the last of 2 steps in a row/) });
    const logged = objects(await read("lost/metrics.jsonl")).filter(({ skipped }) => skipped);
    expect(logged.map(({ loss }) => loss)).toEqual(["NaN"]);
    expect(objects(stdout).filter(({ skipped }) => skipped)).toHaveLength(1);
    for (const folder of ["lost", `lost/checkpoint-${logged[0].step}`])
      for (const name of folder === "lost" ? ["model"] : ["model", "optimizer"]) {
        const { tensors } = parseSafetensors(await readFile(join(tiny.folder, folder, `${name}.safetensors`)), name);
        for (const tensor of tensors.values()) expect(firstNonfinite(toFloat32(tensor, name))).toBe(-1);
      }
    expect((await limbeck("predict --model lost", "fine\n")).code).toBe(0);
  });

  test("an output folder with other things in it is not replaced", async () => {
    await mkdir(join(tiny.folder, "documents"), { recursive: true });
    await file("documents/thesis.txt", "years");
    const { code, stderr } = await limbeck(`finetune --model base --out documents --overwrite ${SMALL}`);
    expect(code).toBe(2);
    expect(stderr).toContain("documents");
    expect(await read("documents/thesis.txt")).toBe("years");
  });
});
