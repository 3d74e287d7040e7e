// The house rules that a machine can hold: which folder may import which, that every op is whole, how large a file may grow,
// and that numbers which reach weights use only mathematics on which engines agree.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Opcode } from "../assembly/opcodes.ts";
import * as ops from "../src/ops/index.ts";
import { recipes } from "../src/recipes/index.ts";
import { VERSION } from "../src/version.ts";

const root = new URL("..", import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), "utf8");
const walk = (folder: string, ending = ".ts"): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending) && !entry.name.includes(".generated."))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length));

const sources = walk("src");
const folderOf = (path: string) => path.split("/")[1];

/** What each folder may import, beside itself and the plain files of src/ (errors, math, random, sha256). */
const arrows: Record<string, readonly string[]> = {
  program: [],
  ops: ["program"],
  formats: [],
  data: ["formats"],
  models: ["program", "ops", "formats"],
  recipes: ["program", "ops", "models", "formats", "optim"],
  optim: ["program", "ops"],
  executors: ["program"],
  runtimes: ["executors", "formats"],
  train: ["data", "program", "ops", "models", "recipes", "optim", "executors", "formats"],
  web: ["formats", "runtimes", "train"],
  cli: ["data", "program", "models", "recipes", "optim", "formats", "train"],
};

/** The contract of a folder that others may name as a type. */
const contracts = ["runtimes/runtime.ts"];

describe("imports point one way", () => {
  test.each(sources.filter((path) => path.split("/").length > 2))("%s", (path) => {
    const allowed = arrows[folderOf(path)];
    expect(allowed, `src/${folderOf(path)}/ is not in the table`).toBeDefined();
    for (const [line, , target] of read(path).matchAll(/^(?:import|export) ([^;]*?)from "(\.\.\/[^"]+)";$/gms)) {
      const parts = target.replace(/^(\.\.\/)+/, "").split("/");
      if (parts.length === 1 || ["assembly", "shaders", folderOf(path)].includes(parts[0])) continue;
      const typeOnly = line.startsWith("import type") && contracts.includes(parts.join("/"));
      expect(allowed.includes(parts[0]) || typeOnly, `${path} imports ${target}`).toBe(true);
    }
  });

  test("only entry points import a runtime", () => {
    const importers = sources.filter(
      (path) => folderOf(path) !== "runtimes" && /from "(#runtime|[./]*runtimes\/(?!runtime\.ts))/.test(read(path)),
    );
    for (const path of importers)
      expect(["src/index.ts", "src/infer.ts"].includes(path) || path.startsWith("src/web/"), path).toBe(true);
  });
});

describe("every op is whole", () => {
  const names = Object.values(ops).flatMap((member) =>
    typeof member === "function" && "op" in member ? [member.op.name] : [],
  );
  const files = walk("src/ops")
    .map((path) => path.slice("src/ops/".length, -3))
    .filter((name) => name !== "index");

  test("opcodes and ops name the same things", () => {
    const opcodes = Object.keys(Opcode).filter((key) => Number.isNaN(Number(key)));
    expect([...names].sort()).toEqual(opcodes.sort());
  });

  test.each(files)("%s has a kernel and a shader of the same name", (file) => {
    expect(existsSync(join(root, `assembly/kernels/${file}.ts`))).toBe(true);
    expect(existsSync(join(root, `shaders/${file}.wgsl`))).toBe(true);
  });

  test.each(files)("the shader of %s has the entry points that its ops name, and no other", (file) => {
    const entries = [...read(`shaders/${file}.wgsl`).matchAll(/@compute[^{]*?fn (\w+)/g)].map(([, entry]) => entry);
    const named = [...read(`src/ops/${file}.ts`).matchAll(/(?:entry: |kernel\()"(\w+)"/g)].map(([, entry]) => entry);
    expect(entries.sort()).toEqual(named.sort());
  });

  test("shaders use no float atomics, no builtin function that differs between GPUs, and no comparison with NaN", () => {
    for (const path of walk("shaders", ".wgsl")) {
      const code = read(path)
        .replace(/\/\/.*$/gm, "")
        .replace(/\/\*[\s\S]*?\*\//g, "");
      expect(code.match(/\b(atomic\w*|exp2?|log2?|pow|tanh|sin|cos|fma)\b(?=\s*[(<])/)?.[0], path).toBeUndefined();
      expect(code.match(/\b(\w+) != \1\b/)?.[0], path).toBeUndefined();
    }
  });

  test.each(names)("%s is in the kernels' switch and in a test", (name) => {
    expect(read("assembly/index.ts")).toContain(`Opcode.${name}`);
    const tested = walk("test/ops").some((path) => read(path).includes(name.replace(/Grad(X|Gamma)?$/, "")));
    expect(tested).toBe(true);
  });
});

describe("files stay small", () => {
  const lines = (path: string) => read(path).split("\n").length;
  const limits: [string, string[], number][] = [
    ["an op", walk("src/ops"), 90],
    ["a kernel", walk("assembly/kernels"), 150],
    ["a shader", walk("shaders", ".wgsl"), 150],
    ["a recipe", Object.keys(recipes).map((name) => `src/recipes/${/^[a-z]+/.exec(name)}.ts`), 40],
    ["a runtime", ["node", "deno", "bun", "browser", "workerd"].map((name) => `src/runtimes/${name}.ts`), 60],
    ["an executor", walk("src/executors").filter((path) => !path.endsWith("reference.ts")), 400],
    ["the reference executor", ["src/executors/reference.ts"], 150],
  ];
  test.each(limits)("%s", (_, paths, limit) => {
    for (const path of paths) expect(lines(path), path).toBeLessThanOrEqual(limit);
  });
  test("src/program is at most 600 lines", () => {
    expect(walk("src/program").reduce((sum, path) => sum + lines(path), 0)).toBeLessThanOrEqual(600);
  });
});

test("host mathematics agrees on every engine: no Math.exp and its kind, no ** outside math.ts and the f64 formulas", () => {
  // Ops hold the reference formulas; the command line only prints.
  const strict = sources.filter((path) => !["src/math.ts"].includes(path) && !/^src\/(ops|cli)\//.test(path));
  for (const path of strict) {
    const code = read(path)
      .replace(/\/\/.*$/gm, "")
      .replace(/\/\*[\s\S]*?\*\//g, "");
    const found = code.match(
      /Math\.(exp|expm1|log|log2|log10|log1p|pow|sin|cos|tan|tanh|sinh|cosh|atan2?|hypot|cbrt)\b/,
    );
    expect(found?.[0], path).toBeUndefined();
    for (const power of code.matchAll(/\S+ \*\* \S+/g)) expect(power[0], path).toMatch(/^2 \*\* \d+/);
  }
});

test("the version of the code is the version of the package", () => {
  expect(JSON.parse(read("package.json")).version).toBe(VERSION);
});
