// limbeck/web in real browsers: the same student as in Node, from a page that only sends and receives messages, and errors that say what is wrong.

import { type Browser, launch, type Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryFiles } from "../../src/formats/files.ts";
import { distill, loadModel } from "../../src/index.ts";
import { sha256 } from "../../src/sha256.ts";
import type { Prediction } from "../../src/train/predictions.ts";
import { browsers, find } from "../hosts/remote.ts";
import { OPTIONS, reviews, teacherFiles } from "./inputs.ts";
import { type Site, serveSite } from "./server.ts";

let [site, other]: Site[] = [];
/** What puppeteer asks of Chromium for hidden tabs, and a user does not. */
const UNTHROTTLED = [
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];
/** The student of Node, one thread. */
let student: { sha256?: string; predicted: Prediction[] };
/** Of Node's first four steps, as they are reported. */
const losses: number[] = [];
/** The weights of Node's student when it has taken so many steps of a longer run. */
let after: (steps: number) => Promise<string>;
const TEXTS = ["the soup was not good", "lovely"];

beforeAll(async () => {
  [site, other] = await Promise.all([serveSite("test/web/page.ts"), serveSite("test/web/page.ts")]);
  const teacher = memoryFiles(await teacherFiles(), "teacher");
  const shared = { ...OPTIONS, teacher, train: reviews(64), threads: 1 };
  const whole = await distill({ ...shared, out: memoryFiles(undefined, "out") }).result;
  const run = distill({ ...shared, maxSteps: 4 });
  for await (const event of run) if (event.type === "step") losses.push(event.loss);
  const { model } = await run.result;
  using classifier = await loadModel(model, { device: "wasm", threads: 1 });
  student = { sha256: whole.sha256, predicted: await classifier.predict(TEXTS) };
  after = async (steps) => {
    const [controller, out] = [new AbortController(), memoryFiles(undefined, "out")];
    const run = distill({ ...shared, out, epochs: 300, loggingSteps: 1, signal: controller.signal });
    for await (const event of run) if (event.type === "step" && event.step === steps) controller.abort();
    expect((await run.result).steps).toBe(steps);
    return sha256(await out.read("model.safetensors"));
  };
});
afterAll(() => {
  site.close();
  other.close();
});

describe.each(browsers)("in $name", ({ name, programs, options }) => {
  const { program, required } = find(name, programs);
  const skipped = "missing" in program && !required;
  let browser: Browser;
  beforeAll(async () => {
    if (skipped) return;
    if (!("path" in program)) throw new Error(program.missing);
    const given = { ...options, executablePath: program.path, headless: true, ignoreDefaultArgs: UNTHROTTLED };
    browser = await launch(given);
  });
  afterAll(() => browser?.close());

  /** Calls an action of page.ts in a new page. */
  const act = <T = Record<string, unknown>>(place: string, action: string, ...given: unknown[]) =>
    watched<T>(() => {}, place, action, ...given);

  /** The same; `hear` is told each line that the page prints. */
  async function watched<T>(
    hear: (text: string, page: Page) => void,
    place: string,
    action: string,
    ...given: unknown[]
  ): Promise<T> {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on("console", (message) => {
      said.push(message.text());
      hear(message.text(), page);
    });
    page.on("pageerror", (error) => said.push(String(error)));
    try {
      await page.goto(`${site.url}/${place}/`);
      await page.waitForFunction("globalThis.actions !== undefined", { timeout: 20_000 }).catch((error) => {
        throw new Error(`${error.message}: ${said.join("\n")}`);
      });
      const call = (action: string, given: unknown[]) =>
        (globalThis as unknown as { actions: Record<string, (...given: unknown[]) => unknown> }).actions[action](
          ...given,
        );
      const late = new Promise<never>((_, reject) => {
        const message = () => `${action} in /${place}/ did not end; it said: ${said.join(" | ") || "nothing"}`;
        setTimeout(() => reject(new Error(message())), 110_000).unref();
      });
      return (await Promise.race([page.evaluate(call, action, given), late])) as T;
    } finally {
      await page.close();
    }
  }

  const it = test.skipIf(skipped);

  it.each([
    ["isolated", 2, /strict numerics, 2 threads/],
    ["isolated", 1, /strict numerics, 1 thread$/],
    ["plain", 2, /one thread instead of 2: shared memory needs cross-origin isolation/],
  ])(
    "a page, %s, with %i threads asked for, distils the student of Node and asks for nothing but its files [W4]",
    async (place, threads, device) => {
      site.asked.length = 0;
      const found = await act(place, "distill", { threads });
      expect(found).toMatchObject({ complete: true, isolated: place === "isolated", violations: [] });
      expect(found.sha256).toBe(student.sha256);
      expect(found.hash).toBe(student.sha256);
      expect(found.files).toEqual(expect.arrayContaining(["config.json", "tokenizer.json", "limbeck.json"]));
      expect(found.events).toEqual(expect.arrayContaining(["start", "step"]));
      expect(found.events).not.toContain("checkpoint");
      expect((found.notes as string[])[0]).toMatch(device);
      const own = /^\/(isolated|plain)\/(|page\.js|web\.js|web\.worker\.js|thread\.browser\.js|limbeck\.\w+\.wasm)$/;
      expect(site.asked.filter((path) => !own.test(path) && path !== "/favicon.ico")).toEqual([]);
    },
  );

  test.skipIf(skipped || process.env.LIMBECK_WEBGPU === "0")(
    "a run on the page's GPU learns what the processor's does",
    async () => {
      const found = await act<{ notes: string[]; losses: number[] }>("plain", "distill", {
        device: "webgpu",
        maxSteps: 4,
      });
      expect(found.notes[0]).toMatch(/^webgpu/);
      expect(losses).toHaveLength(2);
      found.losses.forEach((loss, i) => {
        expect(Math.abs(loss - losses[i])).toBeLessThan(1e-3 * losses[i]);
      });
      expect(found.losses).toHaveLength(2);
    },
  );

  it("a student from a page is used there: texts, a File of examples, several calls at once", async () => {
    const { first, second, metrics, again } = await act("isolated", "use", TEXTS);
    expect(first).toEqual(student.predicted);
    expect(second).toEqual(first);
    expect(metrics).toMatchObject({ count: 64 });
    expect(again).toEqual(metrics);
  });

  it("a run waits for no timer and no frame", async () => {
    expect(await act("untimed", "distill", { threads: 2 })).toMatchObject({ complete: true, sha256: student.sha256 });
  });

  it("a run goes on in a hidden tab, whenever tabs are switched, to the same bytes", async () => {
    const other = await browser.newPage();
    let switched = 0;
    const turn = (text: string, page: Page) => {
      if (!text.startsWith("trains while ") || switched === 3) return;
      switched++;
      (text.endsWith("visible") ? other : page).bringToFront().catch(() => {});
    };
    try {
      const found = await watched<{ states: string[]; steps: number; hash: string }>(turn, "isolated", "switched");
      expect(found.states).toEqual(["visible", "hidden", "visible", "hidden"]);
      expect(found.hash).toBe(await after(found.steps));
    } finally {
      await other.close();
    }
  });

  it("a signal ends a run after its step, with the student so far; a loop that is left ends it, too", async () => {
    expect(await act("plain", "abort")).toMatchObject({ complete: false, files: expect.any(Number) });
    expect(await act("plain", "leave")).toEqual([{}, expect.objectContaining({ code: "RUN_LEFT" })]);
  });

  it("errors are what they are in the library", async () => {
    expect(await act("plain", "wrong")).toMatchObject({ code: "STUDENT_LAYERS", input: true, where: "--student" });
    expect(await act("plain", "unsendable")).toMatchObject({ code: "NOT_SENDABLE", limbeck: true });
  });

  it.each(["opfs", "handle"])(
    "a run in the page's own storage (%s) goes on where it was ended, to the same bytes, and alone",
    async (kind) => {
      const found = await act("isolated", "resume", `${kind}:runs/${kind}`);
      expect(found).toMatchObject({ complete: true, sha256: student.sha256, hash: student.sha256, name: kind });
      expect(found.between).toEqual(expect.arrayContaining([expect.stringMatching(/^checkpoint-\d+$/)]));
      expect((found.notes as string[]).join()).toMatch(/the run goes on behind (opfs:runs\/)?\w+\/checkpoint-\d+/);
      expect(found.after).not.toEqual(expect.arrayContaining([expect.stringMatching(/checkpoint|partial|lock/)]));
      expect(found.again).toMatchObject({ code: "OUTPUT_EXISTS", input: true });
      expect(await act("isolated", "both", `${kind}:runs/both-${kind}`)).toMatchObject({ code: "RUN_OWNED" });
    },
  );

  it("what surroundings lack is named, with what to do", async () => {
    const message = (words: RegExp) => expect.stringMatching(words);
    expect(await act("unsafe", "distill", {}).catch(({ message }) => message)).toMatch(
      /Content-Security-Policy.*'wasm-unsafe-eval'/,
    );
    expect(await act("simdless", "distill", {}).catch(({ message }) => message)).toMatch(/has no SIMD in WebAssembly/);
    expect(await act("full", "write", "opfs:stored")).toMatchObject({
      code: "DISK_FULL",
      message: message(/MB are used; remove old runs/),
    });
    expect(await act("storeless", "write", "opfs:stored")).toMatchObject({
      code: "NO_STORAGE",
      message: message(/Leave the folder out/),
    });
    const [elsewhere, nowhere] = [`${other.url}/plain/`, "http://127.0.0.1:9/"];
    expect(await act("open", "load", elsewhere)).toMatchObject({
      code: "CORS_REFUSED",
      message: message(/Access-Control-Allow-Origin/),
    });
    expect(await act("open", "load", nowhere)).toMatchObject({
      code: "NO_ANSWER",
      message: message(/does not answer/),
    });
    expect(await act("plain", "load", elsewhere)).toMatchObject({ code: "NO_ANSWER", message: message(/connect-src/) });
    expect(await act("plain", "load", "nothing/")).toMatchObject({
      code: "NO_CONFIG",
      where: message(/plain\/nothing\/$/),
    });
  });

  it("a worker that is ended, vanishes, throws or does not load is an error that says so", async () => {
    expect(await act("plain", "terminate")).toMatchObject({ code: "WORKER_TERMINATED", limbeck: true });
    expect(await act("vanishing", "predict")).toMatchObject({
      code: "WORKER_FAILED",
      message: expect.stringMatching(/it has vanished/),
    });
    expect(await act("throwing", "predict")).toMatchObject({
      code: "WORKER_FAILED",
      message: expect.stringMatching(/boom/),
    });
    expect(await act("absent", "predict")).toMatchObject({
      code: "WORKER_FAILED",
      message: expect.stringMatching(/serve web.worker.js/),
    });
    expect(await act("threadless", "use", TEXTS).catch(({ message }) => message)).toMatch(
      /of \d threads one did not start \(its script did not load; serve thread.browser.js/,
    );
    expect(await act("plain", "workerless")).toMatchObject({ code: "NO_WORKER" });
  });
});
