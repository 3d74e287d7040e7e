// What npm packs, unpacked into an empty project beside its dependencies, as npm would: used by Node, Deno and Bun as a library and as the
// command, and through bundlers.

import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { build as viteBuild } from "vite";
import { afterAll, describe, expect, test } from "vitest";
import { sha256 } from "../../src/sha256.ts";
import { makeTiny, type Tiny } from "../cli/tiny.ts";
import { hosts } from "./remote.ts";
import { serveFolder, serveWorker, workerConfig } from "./workerd.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);
const project = await mkdtemp(join(tmpdir(), "limbeck-packed-"));
const tiny: Tiny = await makeTiny();
afterAll(async () => {
  await rm(project, { recursive: true, force: true });
  await tiny.remove();
});

const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project], {
  cwd: root,
});
const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
const installed = join(project, "node_modules/limbeck");
await mkdir(installed, { recursive: true });
await run("tar", ["xzf", join(project, filename), "--strip-components=1", "-C", installed]);
const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
for (const name of Object.keys(dependencies))
  await symlink(join(root, "node_modules", name), join(project, "node_modules", name));
await writeFile(join(project, "package.json"), '{ "type": "module" }\n');

/** Trains a little, then asks the student by way of the smaller entry point. */
await writeFile(
  join(project, "use.js"),
  `import { finetune } from "limbeck";
import { loadModel } from "limbeck/infer";
const [model, train, out] = process.argv.slice(2);
const { sha256 } = await finetune({ model, train, out, maxSteps: 3, device: "wasm", threads: 2 }).result;
using student = await loadModel(out);
const [{ label }] = await student.predict(["the soup was bland"]);
console.log(JSON.stringify({ sha256, label }));
`.replace("using student", "const student"),
);

/** What the command needs: to read; its folder, to write; the name of the machine (locks); variables (colours, caches). */
const write = (folder: string) => `--allow-write=${folder}`;
const DENO = ["run", "--allow-read", "--allow-env", "--allow-sys=hostname"];

interface Engine {
  readonly name: string;
  readonly path?: string;
  readonly missing?: string;
  readonly options: readonly string[];
}
const engine = (name: string, options: readonly string[]): Engine => {
  const { program, required } = hosts.find((host) => host.name === name) as (typeof hosts)[number];
  if ("path" in program) return { name, path: program.path, options };
  return required ? { name, path: program.missing, options } : { name, missing: program.missing, options };
};
const engines: Engine[] = [
  { name: "Node", path: process.execPath, options: [] },
  engine("Deno", [...DENO, write(tiny.folder)]),
  engine("Bun", ["run"]),
];

/** The student's bytes must be Node's. */
let first: string | undefined;

for (const { name, path, missing, options } of engines)
  describe(name, () => {
    const [base, train] = [join(tiny.folder, "base"), join(tiny.folder, "train.tsv")];
    const out = (what: string) => join(tiny.folder, `${what}-${name}`);
    const start = (script: string, ...args: string[]) =>
      run(path as string, [...options, join(project, script), ...args], { cwd: project });

    test.skipIf(missing !== undefined)(`the library${missing ? ` (skipped: ${missing})` : ""}`, async () => {
      const { stdout } = await start("use.js", base, train, out("library"));
      const { sha256, label } = JSON.parse(stdout);
      expect(label).toMatch(/^(positive|negative)$/);
      first ??= sha256;
      expect(sha256).toBe(first);
    });

    test.skipIf(missing !== undefined)(`the command${missing ? ` (skipped: ${missing})` : ""}`, async () => {
      const folder = out("command");
      const common = ["--max-steps", "3", "--device", "wasm", "--threads", "2"];
      const command = "node_modules/limbeck/dist/cli.js";
      await start(command, "finetune", "--model", base, "--train", train, "--out", folder, ...common);
      expect(await sha256(await readFile(join(folder, "model.safetensors")))).toBe(first);
      const { stdout } = await start(command, "predict", "--model", folder, "--device", "wasm", "a delight");
      expect(stdout).toMatch(/^(positive|negative)\t0\.\d{4}\n$/);
    });
  });

const edge = hosts.find(({ name }) => name === "workerd") as (typeof hosts)[number];
test.skipIf("missing" in edge.program && !edge.required)("workerd: the library, deployed as its tools do", async () => {
  if (!("path" in edge.program)) throw new Error(edge.program.missing);
  const folder = join(project, "worker");
  const contents = `import { finetune } from "limbeck";
import { loadModel, memoryFiles } from "limbeck/infer";
export default {
  async fetch(request) {
    const data = new URL(request.url).searchParams.get("data");
    const out = memoryFiles();
    const { sha256 } = await finetune({ model: data + "base/", train: data + "train.tsv", out, maxSteps: 3 }).result;
    using student = await loadModel(out);
    const [{ label }] = await student.predict(["the soup was bland"]);
    return Response.json({ sha256, label });
  },
};
`;
  await build({
    ...{ stdin: { contents, resolveDir: project }, outfile: join(folder, "worker.js"), bundle: true, format: "esm" },
    ...{ platform: "neutral", conditions: ["workerd"], external: ["*.wasm", "webgpu", "compromise/two"] },
    ...{ target: "es2022", logLevel: "warning" },
  });
  const kernels = ["single", "fast.single", "inference"].map((name) => `limbeck.${name}.wasm`);
  const dist = "../node_modules/limbeck/dist";
  const config = await workerConfig(folder, [
    ["worker.js", "worker.js"],
    ...kernels.map((name) => [name, `${dist}/${name}`] as const),
  ]);
  const data = await serveFolder(tiny.folder);
  const worker = await serveWorker(edge.program.path, config);
  try {
    const answer = await (await fetch(`${worker.url}?data=${encodeURIComponent(data.url)}`)).json();
    expect(answer).toEqual({ sha256: first, label: expect.stringMatching(/^(positive|negative)$/) });
  } finally {
    await worker.stop();
    data.close();
  }
});

const deno = engines.find(({ name }) => name === "Deno") as Engine;
test.skipIf(deno.missing !== undefined)("in Deno each permission that the README lists is needed", async () => {
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain(`deno ${DENO.join(" ")} ${write("FOLDER")}`);
  const [command, ...permissions] = deno.options;
  const data = ["--model", join(tiny.folder, "base"), "--train", join(tiny.folder, "train.tsv")];
  const args = [join(installed, "dist/cli.js"), "finetune", ...data, "--max-steps", "1", "--device", "wasm"];
  for (const [i, permission] of permissions.entries()) {
    const others = permissions.filter((other) => other !== permission);
    const out = join(tiny.folder, `without-${i}`);
    const failed = run(deno.path as string, [command, "--no-prompt", ...others, ...args, "--out", out]);
    const said = await failed.catch(({ message }) => message);
    expect(said, permission).toContain(permission.split("=")[0]);
    expect(said, permission).not.toMatch(/^ +at /m);
  }
});

test("a run begun in one goes on in the others, to the bytes of one that nobody disturbed", async () => {
  const present = engines.filter(({ missing }) => missing === undefined);
  const command = join(project, "node_modules/limbeck/dist/cli.js");
  const begin = ({ path, options }: Engine, out: string) => {
    const data = ["--model", join(tiny.folder, "base"), "--train", join(tiny.folder, "train.tsv"), "--epochs", "40"];
    const how = ["--save-steps", "5", "--resume", "--device", "wasm", "--threads", "2", "--json"];
    const child = spawn(path as string, [...options, command, "finetune", ...data, ...how, "--out", out], {
      cwd: project,
    });
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    return { child, lines: createInterface(child.stdout), ended };
  };
  const hash = async (out: string) => sha256(await readFile(join(out, "model.safetensors")));
  const [alone, together] = ["alone", "together"].map((name) => join(tiny.folder, name));
  expect(await begin(present[0], alone).ended).toBe(0);

  const steps: number[] = [];
  for (const engine of present) {
    const { child, lines, ended } = begin(engine, together);
    for await (const line of lines) {
      const { type, step } = JSON.parse(line);
      if (type !== "checkpoint") continue;
      steps.push(step);
      child.kill("SIGINT");
      break;
    }
    expect(await ended).toBe(130);
  }
  expect(await begin(present[0], together).ended).toBe(0);
  expect(await hash(together)).toBe(await hash(alone));
  // Each went on behind the last one's place.
  expect(steps).toHaveLength(present.length);
  expect(steps).toEqual([...new Set(steps)].sort((a, b) => a - b));
});

describe("the package", () => {
  test("holds what it needs and nothing of the workshop", () => {
    const paths = files.map(({ path }) => path);
    for (const runtime of ["node", "deno", "bun", "browser", "workerd"])
      for (const entry of ["index", "infer"]) expect(paths).toContain(`dist/${entry}.${runtime}.js`);
    expect(paths.filter((path) => !/^(dist\/|docs\/errors\.md$|README|LICENSE|package\.json)/.test(path))).toEqual([]);
    expect(paths.filter((path) => /bench|\.test\./.test(path))).toEqual([]);
  });

  test.each(["browser", "workerd"])("esbuild takes the bundle of the condition %s", async (condition) => {
    for (const entry of ["limbeck", "limbeck/infer"]) {
      const { metafile, warnings } = await build({
        ...{ stdin: { contents: `export * from "${entry}";`, resolveDir: project }, bundle: true, write: false },
        ...{
          format: "esm",
          platform: "neutral",
          conditions: [condition],
          external: ["*.wasm", "webgpu", "compromise/two"],
        },
        ...{ metafile: true, logLevel: "silent" },
      });
      expect(warnings).toEqual([]);
      const name = entry === "limbeck" ? "index" : "infer";
      expect(Object.keys(metafile.inputs).some((path) => path.endsWith(`dist/${name}.${condition}.js`))).toBe(true);
    }
  });

  test("Vite takes the kernels and the thread's script along", async () => {
    await writeFile(join(project, "page.js"), 'import { loadModel } from "limbeck"; loadModel("model/");\n');
    await viteBuild({
      ...{ root: project, configFile: false, logLevel: "silent" },
      build: { outDir: "out", rollupOptions: { input: join(project, "page.js") } },
    });
    const assets = (await readdir(join(project, "out/assets"))).map((name) => name.replace(/-[\w-]{8}\./, "."));
    for (const build of ["single", "threads", "fast.single", "fast.threads", "inference"])
      expect(assets).toContain(`limbeck.${build}.wasm`);
    expect(assets.filter((name) => name.startsWith("thread.browser"))).toHaveLength(1);
  });

  test("its types resolve", async () => {
    await writeFile(
      join(project, "use.ts"),
      `import { distill, type Prediction } from "limbeck";
import { loadModel } from "limbeck/infer";
export const run: AsyncIterable<unknown> = distill({ teacher: "t", student: "layers:1", train: "t.tsv" });
export const predict = async (): Promise<Prediction[]> => (await loadModel("s")).predict(["a"]);
// @ts-expect-error
distill({ teacher: 1 });
`,
    );
    const options = { module: "nodenext", target: "es2022", lib: ["es2023", "dom", "esnext.disposable"], strict: true };
    const config = { compilerOptions: { ...options, noEmit: true, types: [], skipLibCheck: false }, files: ["use.ts"] };
    await writeFile(join(project, "tsconfig.json"), JSON.stringify(config));
    const { bin } = JSON.parse(readFileSync(join(root, "node_modules/typescript/package.json"), "utf8"));
    const tsc = join(root, "node_modules/typescript", bin.tsc);
    const { stdout } = await run(process.execPath, [tsc, "-p", project]).catch((error) => error);
    expect(stdout).toBe("");
  });
});
