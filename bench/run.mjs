// Runs a benchmark: bundles bench/NAME.ts (it may reach into src/) to dist/bench/ and starts it under Node.
//   npm run bench -- NAME [its options]

import { spawn } from "node:child_process";
import { cp, mkdir, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));
const [name, ...options] = process.argv.slice(2);
const names = (await readdir(here)).filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3));
if (!names.includes(name)) {
  console.error(`usage: npm run bench -- ${names.filter((n) => n !== "common").join("|")} [options]`);
  process.exit(2);
}

// The kernels and the thread are looked for beside the bundle.
const out = `${root}dist/bench`;
await mkdir(out, { recursive: true });
const built = (await readdir(`${root}dist`)).filter((file) => /^(limbeck\..*\.wasm|thread\.js)$/.test(file));
if (built.length === 0) {
  console.error("dist/ has no kernels: run `npm run build` first.");
  process.exit(2);
}
for (const file of built) await cp(`${root}dist/${file}`, `${out}/${file}`);
await build({
  absWorkingDir: root,
  entryPoints: [`bench/${name}.ts`],
  outfile: `dist/bench/${name}.js`,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "es2022",
  sourcemap: "inline",
  logLevel: "warning",
  external: ["commander", "@tensorflow/*", "assemblyscript/*", "esbuild", "puppeteer-core", "webgpu"],
});
const child = spawn(process.execPath, ["--expose-gc", "--enable-source-maps", `${out}/${name}.js`, ...options], {
  stdio: "inherit",
});
child.once("exit", (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
