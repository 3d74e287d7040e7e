// JSR takes the sources themselves, and makes their documentation and declarations without a compiler: every type of the public names must be
// written down. Deno's dry run of a publication checks that, offline; the types are tsc's to check.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { hosts } from "./remote.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [{ program, required }] = hosts.filter(({ name }) => name === "Deno");
const read = (name: string) => JSON.parse(readFileSync(`${root}/${name}`, "utf8"));

test.skipIf("missing" in program && !required)("a dry run of the publication finds no fault", async () => {
  if (!("path" in program)) throw new Error(program.missing);
  const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
  const { stderr } = await promisify(execFile)(program.path, args, {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
  });
  expect(stderr).toContain("Success Dry run complete");
  for (const file of ["src/executors/shaders.generated.ts", "dist/limbeck.single.wasm"]) expect(stderr).toContain(file);
});

test("the package is the same on JSR", () => {
  const { version, license } = read("package.json");
  expect(read("jsr.json")).toMatchObject({ version, license });
});
