import { afterAll, beforeAll, expect, test } from "vitest";
import { killed } from "./kill.ts";
import { makeTiny, type Tiny } from "./tiny.ts";

let tiny: Tiny;
beforeAll(async () => {
  tiny = await makeTiny();
});
afterAll(() => tiny.remove());

test("killed 20 times at random moments, the command ends with the bytes of an undisturbed run [C1] [C3]", async () => {
  const args =
    "finetune --model base --train train.tsv --eval dev.tsv --device wasm --threads 1 --batch-size 4 --gradient-accumulation-steps 2 --epochs 12 --save-steps 5 --logging-steps 7";
  const { kills, resumed } = await killed(tiny.folder, args.split(" "), 20, 1);
  expect(kills).toBe(20);
  expect(resumed).toBeGreaterThan(3);
}, 240_000);
