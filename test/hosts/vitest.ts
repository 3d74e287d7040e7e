// What test files import from "vitest", for hosts on which vitest does not run: its own runner and matchers, put together as it does.

import {
  ASYMMETRIC_MATCHERS_OBJECT,
  ChaiStyleAssertions,
  chai,
  customMatchers,
  GLOBAL_EXPECT,
  getState,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import { getCurrentTest, type VitestRunnerConfig } from "@vitest/runner";

export { afterAll, afterEach, beforeAll, beforeEach, describe, test } from "@vitest/runner";

for (const plugin of [JestExtend, JestChaiExpect, ChaiStyleAssertions, JestAsymmetricMatchers]) chai.use(plugin);

/** Matchers of the current test. What is missing here, snapshots and mocks above all, fails as not a function. */
export const expect = ((value: unknown, message?: string) => {
  const assertion = chai.expect(value, message) as Chai.Assertion & { withTest(test: unknown): Chai.Assertion };
  const test = getCurrentTest();
  return test ? assertion.withTest(test) : assertion;
}) as unknown as typeof import("vitest").expect;
Object.assign(expect, chai.expect, Reflect.get(globalThis, ASYMMETRIC_MATCHERS_OBJECT));
Reflect.set(globalThis, GLOBAL_EXPECT, expect);
setState({ ...getState(expect), assertionCalls: 0 }, expect);
// JestExtend gave chai this function; the type knows it only where vitest itself is loaded.
(chai.expect as unknown as { extend(to: unknown, matchers: unknown): void }).extend(expect, customMatchers);

export const config: VitestRunnerConfig = {
  root: "/",
  setupFiles: [],
  name: undefined,
  passWithNoTests: false,
  testNamePattern: undefined,
  allowOnly: false,
  sequence: { seed: 1, hooks: "stack", setupFiles: "list" },
  chaiConfig: undefined,
  maxConcurrency: 1,
  testTimeout: 120_000,
  hookTimeout: 120_000,
  retry: 0,
  includeTaskLocation: false,
  tags: [],
  tagsFilter: undefined,
  strictTags: true,
};

export const vi = {
  setConfig: (changes: Partial<VitestRunnerConfig>) => Object.assign(config, changes),
};
