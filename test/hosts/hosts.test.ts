// The tests that need nothing of Node run in other hosts, one host after the other; each is a test here.

import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bundle } from "./bundle.ts";
import { hosts, listTests, RemoteRun } from "./remote.ts";

// A driver without a GPU takes a minute for what a GPU does in a second.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

const folder = await bundle();
const all = await listTests(folder);
afterAll(() => rm(folder, { recursive: true, force: true }));

for (const host of hosts)
  describe(host.name, () => {
    const run = new RemoteRun();
    const { name, program, required, only } = host;
    const tests = all.filter(({ path }) => path[0].startsWith(only ?? ""));
    const absent = "missing" in program ? program.missing : undefined;
    const skipped = absent !== undefined && !required;
    const title = (test: string) => (skipped ? `${test} (skipped: ${absent})` : test);
    /** What keeps every test of this host from running: a failure where it is required, else a reason to skip. */
    let failure: Error | undefined;
    let reason: string | undefined;
    const check = (skip: (condition: boolean, note?: string) => void) => {
      if (failure) throw failure;
      skip(reason !== undefined, reason);
    };

    // A hook that throws would count its tests as skipped.
    beforeAll(async () => {
      try {
        if (!("path" in program)) throw new Error(program.missing);
        const adapter = await run.start(host, program.path, folder);
        console.log(`${name}: ${program.path}${only ? "" : `, WebGPU on ${adapter ?? "no adapter"}`}`);
        if (adapter === null && !only) reason = `${program.path} has no WebGPU adapter`;
        if (reason && required) failure = new Error(reason);
      } catch (error) {
        failure = error as Error;
      }
    });
    afterAll(() => run.stop());

    for (const { path } of tests)
      test.skipIf(skipped)(title(path.join(" > ")), async ({ skip }) => {
        check(skip);
        const found = await run.outcome(path);
        // The test itself said why this host cannot run it.
        skip(found.state === "skip", found.message);
        if (found.state === "pass") return;
        const error = new Error(found.message);
        error.stack = `${error.message}\n${found.stack ?? ""}`;
        throw error;
      });

    test.skipIf(skipped)(title("ran every test of the list and no other"), ({ skip }) => {
      check(skip);
      expect([...run.outcomes.keys()].sort()).toEqual(tests.map(({ path }) => path.join(" > ")).sort());
    });
  });
