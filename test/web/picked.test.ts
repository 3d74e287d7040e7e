// Folders of the user's disk behind handles, as showDirectoryPicker gives them: here dropped on the page, which is allowed to read them then. Whether
// it may write as well, a profile says in the user's place. Chromium alone has such handles.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, launch } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryFiles } from "../../src/formats/files.ts";
import { distill } from "../../src/index.ts";
import { sha256 } from "../../src/sha256.ts";
import { browsers, find } from "../hosts/remote.ts";
import { OPTIONS, reviews, teacherFiles } from "./inputs.ts";
import { type Site, serveSite } from "./server.ts";

const { name, programs, options } = browsers[0];
const { program, required } = find(name, programs);

describe.skipIf("missing" in program && !required)(`handles of folders in ${name}`, () => {
  let disk: string;
  let [allowed, refused]: Site[] = [];
  let browser: Browser;
  /** The weights of Node's student. */
  let student: string | undefined;

  beforeAll(async () => {
    if (!("path" in program)) throw new Error(program.missing);
    disk = await mkdtemp(join(tmpdir(), "limbeck-picked-"));
    await mkdir(join(disk, "teacher"));
    const teacher = await teacherFiles();
    for (const [name, bytes] of Object.entries({ ...teacher, "train.tsv": reviews(64).bytes }))
      await writeFile(join(disk, "teacher", name), bytes);
    const out = memoryFiles(undefined, "out");
    const models = { teacher: memoryFiles(teacher, "teacher"), train: reviews(64), out };
    student = (await distill({ ...OPTIONS, ...models, threads: 1 }).result).sha256;
    [allowed, refused] = await Promise.all([serveSite("test/web/page.ts"), serveSite("test/web/page.ts")]);
    const exceptions = { file_system_write_guard: { [`${allowed.url},*`]: { setting: 1 } } };
    await mkdir(join(disk, "profile/Default"), { recursive: true });
    const preferences = JSON.stringify({ profile: { content_settings: { exceptions } } });
    await writeFile(join(disk, "profile/Default/Preferences"), preferences);
    browser = await launch({
      ...{ ...options, executablePath: program.path, headless: true, userDataDir: join(disk, "profile") },
    });
  });
  afterAll(async () => {
    await browser?.close();
    allowed?.close();
    refused?.close();
    await rm(disk, { recursive: true, force: true });
  });

  /** Calls an action of page.ts in a new page on which a folder was dropped, as `dropped:0`. */
  async function act<T>(url: string, folder: string, action: string): Promise<T> {
    const page = await browser.newPage();
    try {
      await page.goto(url);
      await page.waitForFunction("globalThis.actions !== undefined");
      const dropped = new Promise((resolve) =>
        page.on("console", (line) => line.text() === "dropped" && resolve(line)),
      );
      const devtools = await page.createCDPSession();
      const data = { items: [], files: [join(disk, folder)], dragOperationsMask: 1 };
      for (const type of ["dragEnter", "dragOver", "drop"] as const)
        await devtools.send("Input.dispatchDragEvent", { type, x: 10, y: 10, data });
      await dropped;
      return (await page.evaluate(
        (action) =>
          (globalThis as unknown as { actions: Record<string, (place: string) => unknown> }).actions[action](
            "dropped:0",
          ),
        action,
      )) as T;
    } finally {
      await page.close();
    }
  }

  test("a model and its data are read there, and nothing is asked for but that", async () => {
    expect(await act(`${refused.url}/isolated/`, "teacher", "read")).toBe(student);
  });

  test("a run goes on there where it was ended, to the same bytes, and alone; the folder has the student and nothing else", async () => {
    const folder = join(disk, "student");
    await mkdir(folder);
    await writeFile(join(folder, ".own"), "the user's");
    const found = await act(`${allowed.url}/isolated/`, "student", "resume");
    expect(found).toMatchObject({ complete: true, sha256: student, hash: student, name: "student" });
    expect((found as { notes: string[] }).notes.join()).toMatch(/the run goes on behind student\/checkpoint-\d+/);
    const names = await readdir(folder);
    expect(await sha256(await readFile(join(folder, "model.safetensors")))).toBe(student);
    expect(names.filter((name) => /^\.|checkpoint|crswap/.test(name))).toEqual([".own"]);
    await mkdir(join(disk, "both"));
    expect(await act(`${allowed.url}/isolated/`, "both", "both")).toMatchObject({ code: "RUN_OWNED" });
  });

  test("where the user allowed no writing, or files cannot be renamed, a run says so before its first step", async () => {
    await mkdir(join(disk, "nothing"));
    const message = (words: RegExp) => expect.stringMatching(words);
    expect(await act(`${refused.url}/isolated/`, "nothing", "write")).toMatchObject({
      ...{ code: "PERMISSION_DENIED", where: "nothing", input: true, stepped: false },
      message: message(/showDirectoryPicker\(\{ mode: "readwrite" \}\).*requestPermission/),
    });
    expect(await act(`${allowed.url}/unmovable/`, "nothing", "write")).toMatchObject({
      ...{ code: "IO_ERROR", stepped: false },
      message: message(/cannot rename files there.*leave the folder out/),
    });
    expect(await readdir(join(disk, "nothing"))).toEqual([]);
  });
});
