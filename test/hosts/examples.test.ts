// The examples, each on its host.

import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { makeTiny } from "../cli/tiny.ts";
import { find, hosts } from "./remote.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const project = await mkdtemp(join(tmpdir(), "limbeck-examples-"));
const tiny = await makeTiny();
await mkdir(join(project, "node_modules"));
await symlink(root, join(project, "node_modules/limbeck"));
await writeFile(join(project, "package.json"), '{ "type": "module" }\n');
for (const path of ["node/distill.js", "deno/distill.ts", "worker/worker.js", "worker/config.capnp"])
  await cp(join(root, "examples", path), join(project, path.slice(path.indexOf("/") + 1)));
afterAll(async () => {
  await rm(project, { recursive: true, force: true });
  await tiny.remove();
});

const base = [join(tiny.folder, "base"), join(tiny.folder, "train.tsv")];
const TEXT = "a delight";
const LINE = /^(positive|negative) 0\.\d{4}\n$/;
let answer: string | undefined;

test("examples/node", async () => {
  const args = [join(project, "distill.js"), ...base, join(tiny.folder, "node"), TEXT];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(LINE);
  answer = stdout;
});

const deno = hosts.find(({ name }) => name === "Deno") as (typeof hosts)[number];
test.skipIf("missing" in deno.program && !deno.required)("examples/deno", async () => {
  if (!("path" in deno.program)) throw new Error(deno.program.missing);
  const out = join(tiny.folder, "deno");
  const allowed = ["--no-prompt", "--allow-read", `--allow-write=${out}`, "--allow-env", "--allow-sys=hostname"];
  const args = ["run", ...allowed, join(project, "distill.ts"), ...base, out, TEXT];
  const { stdout } = await promisify(execFile)(deno.program.path, args, { cwd: project });
  expect(stdout).toBe(answer);
});

// The package's own bin may be a script that starts the program, and would leave it running.
const { program, required } = find("workerd", ["../@cloudflare/workerd-linux-64/bin/workerd", "workerd"], false);
test.skipIf("missing" in program && !required)("examples/worker", async () => {
  if (!("path" in program)) throw new Error(program.missing);
  const student = createServer(async ({ url = "" }, response) => {
    const bytes = await readFile(join(tiny.folder, "node/student", url.slice(1))).catch(() => undefined);
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise<void>((resolve) => student.listen(0, "127.0.0.1", resolve));
  const STUDENT = `http://127.0.0.1:${(student.address() as AddressInfo).port}/`;
  const args = ["serve", join(project, "config.capnp"), "--socket-addr=http=127.0.0.1:0", "--control-fd=1"];
  const worker = spawn(program.path, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, STUDENT } });
  try {
    const port = await new Promise<number>((resolve, reject) => {
      createInterface(worker.stdout).on("line", (line) => {
        const { event, port } = JSON.parse(line);
        if (event === "listen") resolve(port);
      });
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`workerd ended with ${code}`)));
    });
    const ask = (query: string) => fetch(`http://127.0.0.1:${port}/${query}`);
    expect((await ask("")).status).toBe(400);
    const { label, score } = await (await ask(`?text=${encodeURIComponent(TEXT)}`)).json();
    expect(`${label} ${score.toFixed(4)}\n`).toBe(answer);
  } finally {
    worker.kill("SIGKILL");
    student.closeAllConnections();
    student.close();
  }
});
