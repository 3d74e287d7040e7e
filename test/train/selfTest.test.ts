// The self-test leaves no kernel out, and every executor that runs here passes it.

import { describe, expect, test } from "vitest";
import { Opcode } from "../../assembly/opcodes.ts";
import { fileOf } from "../../src/executors/shaders.generated.ts";
import { isRounding, selfTest, selfTestCase, selfTestNames, selfTestNamesOf } from "../../src/train/selfTest.ts";
import { devices } from "../executors/each.ts";

describe("the self-test runs", () => {
  const instructions = selfTestNames.flatMap((name) => selfTestCase(name).program.instructions);

  test("every op", () => {
    const run = new Set(instructions.map(({ op }) => op.name));
    expect(Object.values(Opcode).filter((name) => typeof name === "string" && !run.has(name))).toEqual([]);
  });

  test("every entry point of the shaders", () => {
    const run = new Set(
      instructions.flatMap((instruction) =>
        instruction.op.dispatches(instruction.dims, instruction.attributes, instruction).map(({ entry }) => entry),
      ),
    );
    expect(Object.keys(fileOf).filter((entry) => !run.has(entry))).toEqual([]);
  });
});

for (const device of devices)
  test.skipIf(device.missing)(`${device.name} passes it`, async () => {
    const executor = await device.make();
    const errors = await selfTest(executor);
    expect([...errors].filter(([, error]) => !isRounding(error))).toEqual([]);
    expect([...errors.keys()]).toEqual(selfTestNamesOf(executor));
    executor.dispose();
  });
