// examples/browser in real browsers: served as it lies there, with and without the headers of cross-origin isolation.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "puppeteer-core";
import { afterAll, describe, expect, test } from "vitest";
import { browsers, find } from "../hosts/remote.ts";
import { reviews, teacherFiles } from "./inputs.ts";
import { dress } from "./server.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "limbeck-page-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
const write = async (name: string, bytes: Uint8Array) => {
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
};
const teacher = await Promise.all(Object.entries(await teacherFiles()).map(([name, bytes]) => write(name, bytes)));
const train = await write("train.tsv", reviews(64).bytes);

/** The example's folder, with dist/ as limbeck/. */
function serve(isolated: boolean): Promise<Server> {
  const server = createServer(async ({ url = "/" }, response) => {
    const path = url === "/" ? "/index.html" : url;
    const file = /^\/limbeck\/[\w.-]+$/.test(path)
      ? join(root, "dist", path.slice(9))
      : join(root, "examples/browser", path);
    const body = /^(\/limbeck)?\/[\w.-]+$/.test(path) ? await readFile(file).catch(() => undefined) : undefined;
    dress(response, path, { isolated });
    response.writeHead(body ? 200 : 404).end(body);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

describe.each(browsers)("examples/browser in $name", ({ name, programs, options }) => {
  const { program, required } = find(name, programs);
  test.skipIf("missing" in program && !required).each([true, false])("isolated: %s", async (isolated) => {
    if (!("path" in program)) throw new Error(program.missing);
    const server = await serve(isolated);
    const browser = await launch({ ...options, executablePath: program.path, headless: true });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const give = async (input: string, paths: readonly string[]) =>
        (await page.$(`input[name=${input}]`))?.uploadFile(...(paths as string[]));
      await give("teacher", teacher);
      await give("train", [train]);
      await page.click("button");
      await page.waitForFunction("label.textContent !== ''", { timeout: 60_000 }).catch(async (error) => {
        throw new Error(`${error.message}: the page says ${await page.evaluate("said.textContent")}`);
      });
      const found = await page.evaluate(() => ({
        label: document.getElementById("label")?.textContent,
        files: Array.from(document.querySelectorAll("#files a"), ({ textContent }) => textContent),
        isolated: crossOriginIsolated,
      }));
      expect(found.label).toMatch(/^\w+ [01]\.\d{4}$/);
      expect(found.files).toEqual(expect.arrayContaining(["config.json", "model.safetensors", "vocab.txt"]));
      expect(found.isolated).toBe(isolated);
    } finally {
      await browser.close();
      server.close();
    }
  });
});
