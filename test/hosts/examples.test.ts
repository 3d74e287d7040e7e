// The examples, each on its host.

import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { makeTiny } from "../cli/tiny.ts";
import { hosts } from "./remote.ts";
import { serveFolder, serveWorker } from "./workerd.ts";

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

const edge = hosts.find(({ name }) => name === "workerd") as (typeof hosts)[number];
test.skipIf("missing" in edge.program && !edge.required)("examples/worker", async () => {
  if (!("path" in edge.program)) throw new Error(edge.program.missing);
  const student = await serveFolder(join(tiny.folder, "node/student"));
  const worker = await serveWorker(edge.program.path, join(project, "config.capnp"), { env: { STUDENT: student.url } });
  try {
    expect((await fetch(worker.url)).status).toBe(400);
    const { label, score } = await (await fetch(`${worker.url}?text=${encodeURIComponent(TEXT)}`)).json();
    expect(`${label} ${score.toFixed(4)}\n`).toBe(answer);
  } finally {
    await worker.stop();
    student.close();
  }
});
