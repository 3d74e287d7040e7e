// Builds dist/: the WASM modules (asc), the bundles (esbuild) and the declarations (tsc), and before them the shaders as a module of src/. What is newer than its sources is left alone.
//   node build.mjs            everything
//   node build.mjs wasm …     only these parts: shaders, wasm, bundles, types

import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const run = promisify(execFile);
const require = createRequire(import.meta.url);

/** When the file, or the newest .ts file in the folder, was written; 0 when there is none. */
async function written(path) {
  const found = await stat(join(root, path)).catch(() => undefined);
  if (!found) return 0;
  if (!found.isDirectory()) return /\.(ts|mjs|json|wasm|wgsl)$/.test(path) ? found.mtimeMs : 0;
  const names = await readdir(join(root, path));
  return Math.max(0, ...(await Promise.all(names.map((name) => written(`${path}/${name}`)))));
}

async function outdated(output, sources) {
  return (await written(output)) <= Math.max(...(await Promise.all(sources.map(written))));
}

/** Runs a tool of this package with the Node that runs us; what it says goes to the user when it fails. */
async function tool(path, args) {
  try {
    await run(process.execPath, [path, ...args], { cwd: root, maxBuffer: 1 << 26 });
  } catch (error) {
    throw new Error(`${args.join(" ")}\n${error.stdout ?? ""}${error.stderr ?? error.message}`);
  }
}

function binary(name, command) {
  const manifest = require.resolve(`${name}/package.json`);
  const { bin } = require(manifest);
  return join(manifest, "..", typeof bin === "string" ? bin : bin[command]);
}

/**
 * The shaders as strings in a module: WGSL has no import, so in front of each file stand the shared sizes and enumerations as `const`
 * lines and the files of lib/, plainly put one after the other; then those of lib/plain or, where a device has them, lib/subgroups.
 */
async function shaders() {
  const output = "src/executors/shaders.generated.ts";
  if (!(await outdated(output, ["shaders", "assembly/opcodes.ts", "build.mjs"]))) return;
  const constants = 'export * from "./shaders/layout.ts"; export * from "./assembly/opcodes.ts";';
  const { outputFiles } = await build({
    stdin: { contents: constants, resolveDir: root },
    ...{ bundle: true, write: false, format: "esm" },
  });
  const shared = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
  const head = ["const NONE = 0xffffffffu;"];
  for (const [name, value] of Object.entries(shared)) {
    if (typeof value === "number") head.push(`const ${name} = ${value}u;`);
    else if (name !== "Opcode")
      for (const [key, n] of Object.entries(value))
        if (typeof n === "number") head.push(`const ${name}_${key} = ${n}u;`);
  }
  const files = async (folder) => {
    const names = (await readdir(join(root, folder))).filter((name) => name.endsWith(".wgsl")).sort();
    return Promise.all(names.map(async (name) => [name, await readFile(join(root, folder, name), "utf8")]));
  };
  const texts = async (folder) => (await files(folder)).map(([, text]) => text).join("\n");
  const front = `${head.join("\n")}\n\n${await texts("shaders/lib")}`;
  const own = await files("shaders");
  const entries = own.flatMap(([file, text]) =>
    [...text.matchAll(/@compute[^{]*?fn (\w+)/g)].map(([, entry]) => [entry, file]),
  );
  if (new Set(entries.map(([entry]) => entry)).size < entries.length)
    throw new Error("two shaders have an entry point of one name");
  const lines = [
    "// Written by build.mjs from shaders/: do not edit.",
    `export const front: string = ${JSON.stringify(front)};`,
    `export const plain: string = ${JSON.stringify(await texts("shaders/lib/plain"))};`,
    `export const subgroups: string = ${JSON.stringify(await texts("shaders/lib/subgroups"))};`,
    `export const shaders: Readonly<Record<string, string>> = ${JSON.stringify(Object.fromEntries(own), null, 2)};`,
    `export const fileOf: Readonly<Record<string, string>> = ${JSON.stringify(Object.fromEntries(entries), null, 2)};`,
  ];
  await writeFile(join(root, output), `${lines.join("\n")}\n`);
}

async function wasm() {
  const { targets } = JSON.parse(await readFile(join(root, "asconfig.json"), "utf8"));
  await Promise.all(Object.keys(targets).map(wasmTarget));
}

async function wasmTarget(target) {
  const output = `dist/limbeck.${target}.wasm`;
  if (!(await outdated(output, ["assembly", "asconfig.json", "build.mjs"]))) return;
  // Renamed when whole: tests that run meanwhile must not read half a module.
  const partial = `dist/.${target}.${process.pid}.wasm`;
  try {
    const entry = target === "inference" ? "assembly/inference.ts" : "assembly/index.ts";
    await tool(binary("assemblyscript", "asc"), [entry, "--target", target, "--outFile", partial]);
    await rename(join(root, partial), join(root, output));
  } finally {
    await rm(join(root, partial), { force: true });
  }
}

/** Hosts that have files, processes and a command; and the others, whose bundles are fetched or deployed and therefore small. */
const SYSTEMS = ["node", "deno", "bun"];
const OTHERS = ["browser", "workerd"];

/** dist/NAME.js from its entry, for a runtime: what `#runtime` is, the conditions of package.json's imports say. */
async function bundle(runtime, names, banner) {
  const small = !SYSTEMS.includes(runtime);
  await build({
    absWorkingDir: root,
    entryPoints: names,
    outdir: "dist",
    bundle: true,
    format: "esm",
    ...(small ? { platform: "neutral", mainFields: ["module", "main"], minify: true } : { platform: "node" }),
    conditions: [runtime],
    // Optional packages that are looked for when they are asked for; modules that an edge worker imports.
    external: ["webgpu", "compromise/two", "*.wasm"],
    target: "es2022",
    logLevel: "warning",
    banner: banner ? { js: banner } : {},
  });
}

async function bundles() {
  // Some dependencies of the commands are CommonJS and call require for Node's own modules.
  const require = [
    'import { createRequire as $createRequire } from "node:module";',
    "const require = $createRequire(import.meta.url);",
  ].join("\n");
  const library = (runtime) => ({ [`index.${runtime}`]: "src/index.ts", [`infer.${runtime}`]: "src/infer.ts" });
  for (const runtime of [...SYSTEMS, ...OTHERS]) await bundle(runtime, library(runtime));
  for (const runtime of SYSTEMS) await bundle(runtime, { [`cli.${runtime}`]: "src/cli/main.ts" }, require);
  await bundle("node", { demo: "src/cli/demo.ts" }, require);
  await bundle("node", { thread: "src/runtimes/nodeThread.ts" });
  await bundle("browser", { "thread.browser": "src/runtimes/browserThread.ts" });
  await bundle("browser", { web: "src/web.ts", "web.worker": "src/web/worker.ts" });
  // The command, under whichever host runs it.
  await writeFile(join(root, "dist/cli.js"), '#!/usr/bin/env node\nimport "#cli";\n');
  await chmod(join(root, "dist/cli.js"), 0o755);
}

async function types() {
  const entry = "dist/types/index.d.ts";
  if (!(await written("src/index.ts")) || !(await outdated(entry, ["src", "tsconfig.json", "build.mjs"]))) return;
  await rm(join(root, "dist/types"), { recursive: true, force: true });
  const settings = join(root, "dist/tsconfig.types.json");
  await writeFile(
    settings,
    JSON.stringify({
      extends: "../tsconfig.json",
      compilerOptions: { noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: "..", outDir: "types" },
      include: ["../src"],
    }),
  );
  await tool(binary("typescript", "tsc"), ["-p", settings]);
  await rm(settings);
  // src/ reads constants from assembly/, so the declarations keep both folders.
  for (const name of ["index", "infer", "web"])
    await writeFile(join(root, `dist/types/${name}.d.ts`), `export * from "./src/${name}.js";\n`);
}

const parts = { shaders, wasm, bundles, types };
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
for (const name of wanted)
  if (!(name in parts)) throw new Error(`there is no part ${name}; there are ${Object.keys(parts).join(", ")}`);
await mkdir(join(root, "dist"), { recursive: true });
// The bundles and the declarations contain the shaders.
if (wanted.includes("shaders")) await shaders();
const others = wanted.filter((name) => name !== "shaders");
const outcomes = await Promise.allSettled(others.map((name) => parts[name]()));
for (const { reason } of outcomes.filter(({ status }) => status === "rejected")) {
  console.error(reason instanceof Error ? reason.message : reason);
  process.exitCode = 1;
}
