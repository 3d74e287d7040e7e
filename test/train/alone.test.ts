// One sequence alone has fewer empty rows than a batch, and the same logits.

import { expect, test } from "vitest";
import { alone, predictAll } from "../../src/train/evaluate.ts";
import { freshWeights } from "../../src/train/model.ts";
import { Predictor, placeWeights } from "../../src/train/trainer.ts";
import { wasm } from "../executors/each.ts";
import { tinyConfig } from "./tiny.ts";

test.each([1, 13, 16, 17, 40])(
  "%i tokens: rows rounded up to 16, and the bits that a batch of 64 rows gives",
  async (n) => {
    const row = { ids: Array.from({ length: n }, (_, i) => (7 * i + 3) % 50), segments: new Array<number>(n).fill(0) };
    const config = tinyConfig(2);
    const executor = await wasm(1).make();
    placeWeights(executor, "m", freshWeights(config, 1));
    const predictor = new Predictor(executor, { owner: "m", config });
    const batch = alone(row);
    expect(batch.rows).toBe(Math.ceil(n / 16) * 16);
    const found = await predictor.logits(batch);
    expect(found).toEqual(await predictAll(predictor, [row]));
    expect(found.some((x) => x !== 0)).toBe(true);
    executor.dispose();
  },
);
