// docs/errors.md says of every code what it means, and is what the source says today.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorCodes } from "../src/errorCodes.ts";

const root = new URL("..", import.meta.url).pathname;

test("docs/errors.md is made from the source as it is (node docs/errors.mjs makes it anew)", () => {
  execFileSync(process.execPath, ["docs/errors.mjs", "--check"], { cwd: root });
}, 60_000);

test("a code has one meaning", () => {
  const entries = Object.values(errorCodes).flatMap((group) =>
    Object.entries(group as Record<string, readonly [cause: string, remedy: string]>),
  );
  const codes = entries.map(([code]) => code);
  expect(codes.filter((code, i) => codes.indexOf(code) !== i)).toEqual([]);
  const causes = entries.map(([, [cause]]) => cause);
  expect(causes.filter((cause, i) => causes.indexOf(cause) !== i)).toEqual([]);
  for (const [code, texts] of entries) {
    expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
    for (const text of texts) expect(text, code).toMatch(/^\S.{8,}\.$/);
  }
});

test("every code is on the page, and so are messages that reach an error by way of a helper", () => {
  const page = readFileSync(`${root}docs/errors.md`, "utf8");
  for (const group of Object.values(errorCodes))
    for (const code of Object.keys(group)) expect(page).toContain(`### ${code}\n`);
  // Through a helper, through a parameter's default, and of a constant.
  for (const message of [
    "data_offsets has ‹offsets› numbers, expected 2.",
    "a string without its closing quote",
    "NUL character",
  ])
    expect(page).toContain(message);
});
