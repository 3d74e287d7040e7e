// The tests that every host runs, bundled: one module that needs nothing but the files beside it.

import { copyFile, mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Where the tests are that need nothing of Node … */
const SHARED = [
  "executors",
  "models",
  "ops",
  "optim",
  "program",
  "recipes",
  "runtimes",
  "train",
  "math.test.ts",
  "random.test.ts",
];

/** … but for these, and why they stay in Node. */
const NODE_ONLY: Readonly<Record<string, string>> = {
  "test/executors/pace.test.ts": "needs no host: it turns vitest's clock",
  "test/executors/pool.test.ts": "compares numbers of threads",
  "test/train/economy.test.ts": "needs no host: its device computes nothing",
  "test/ops/tfjs.test.ts": "a library that loads its files by Node's means",
  "test/train/agreement.test.ts": "minutes on a software driver; trajectory.test.ts compares fewer steps everywhere",
  "test/train/cache.test.ts": "folders on disk, and the library's entry point",
  "test/train/chain.test.ts": "folders on disk",
  "test/train/checkpoint.test.ts": "folders on disk",
  "test/train/device.test.ts": "the library's entry point, which is Node's",
  "test/train/families.test.ts": "folders on disk",
  "test/train/foreign.test.ts": "folders on disk",
  "test/train/memory.test.ts": "the library's entry point, which is Node's",
  "test/train/outOfMemory.test.ts": "the library's entry point, which is Node's",
  "test/train/plainText.test.ts": "folders on disk",
  "test/train/plan.test.ts": "folders on disk",
  "test/train/pretrain.test.ts": "folders on disk",
  "test/train/sameness.test.ts": "compares numbers of threads",
  "test/train/softLabels.test.ts": "folders on disk",
  "test/train/stages.test.ts": "folders on disk",
  "test/train/substitutes.test.ts": "folders on disk",
};

export async function sharedTests(): Promise<string[]> {
  const names = await readdir(join(root, "test"), { recursive: true });
  return names
    .filter((name) => name.endsWith(".test.ts") && SHARED.includes(name.split("/")[0]))
    .map((name) => `test/${name}`)
    .filter((path) => !(path in NODE_ONLY))
    .sort();
}

/** `key: import` pairs of an object in a generated module. */
const object = (entries: readonly string[]) => `export default {\n${entries.join(",\n")}\n};\n`;

function virtual(tests: readonly string[]): Plugin {
  return {
    name: "limbeck",
    setup(plan) {
      plan.onResolve({ filter: /^limbeck:/ }, ({ path }) => ({ path, namespace: "limbeck" }));
      const refuse = (path: string) => ({
        errors: [{ text: `${path} is Node's alone: ask test/hosts/here.ts, or list the test as NODE_ONLY` }],
      });
      plan.onResolve({ filter: /^node:/ }, ({ path, importer }) =>
        importer.includes("/src/runtimes/") ? { path, external: true } : refuse(path),
      );
      // Only the host knows its runtime, and it asks for it when it runs.
      plan.onResolve({ filter: /\/runtimes\/(node\w*|deno|bun|browser|workerd)\.ts$/ }, ({ path, kind, importer }) =>
        kind === "import-statement" && !importer.includes("/src/runtimes/") ? refuse(path) : undefined,
      );
      plan.onResolve({ filter: /\/here\.ts$/ }, () => ({ path: join(root, "test/hosts/here.remote.ts") }));
      plan.onLoad({ filter: /^limbeck:tests$/, namespace: "limbeck" }, () => ({
        contents: object(tests.map((path) => `${JSON.stringify(path)}: () => import("./${path}")`)),
        resolveDir: root,
      }));
      plan.onLoad({ filter: /^limbeck:fixtures$/, namespace: "limbeck" }, async () => {
        const names = await readdir(join(root, "test/fixtures"), { recursive: true });
        const files = names.filter((name) => /\.(json|safetensors)$/.test(name)).sort();
        const lines = files.map((name, i) => `import f${i} from ${JSON.stringify(`./test/fixtures/${name}`)};`);
        return {
          contents: `${lines.join("\n")}\n${object(files.map((name, i) => `${JSON.stringify(name)}: f${i}`))}`,
          resolveDir: root,
        };
      });
    },
  };
}

/** Writes main.js, worker.js, their chunks and the built kernels into a new folder. */
export async function bundle(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "limbeck-hosts-"));
  await build({
    absWorkingDir: root,
    entryPoints: ["test/hosts/main.ts", "test/hosts/worker.ts"],
    outdir: folder,
    ...{ bundle: true, splitting: true, format: "esm", target: "es2022", platform: "neutral", sourcemap: "inline" },
    mainFields: ["module", "main"],
    external: ["webgpu", "compromise/two", "*.wasm"],
    alias: { vitest: join(root, "test/hosts/vitest.ts") },
    loader: { ".safetensors": "binary", ".json": "binary" },
    plugins: [virtual(await sharedTests())],
    logLevel: "warning",
  });
  for (const name of await readdir(join(root, "dist")))
    if (/^(limbeck\..*\.wasm|thread\..*js)$/.test(name)) await copyFile(join(root, "dist", name), join(folder, name));
  return folder;
}
