import { describe } from "vitest";
import { gather, NONE } from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

describe("gather", () => {
  const ids = { shape: [7], data: [3, 0, 3, 1, 3, NONE, NONE], dtype: "u32" as const };
  const order = { shape: [7], data: [1, 3, 0, 2, 4, 5, 6], dtype: "u32" as const };
  for (const D of [6, 16])
    opCase(`table rows of ${D} by unsorted ids`, { table: { shape: [5, D] }, ids, order }, ({ table, ids, order }) =>
      gather({ table, ids, order }, {}),
    );
  opCase(
    "ascending ids without an order",
    { table: { shape: [9, 6] }, ids: { shape: [3], data: [0, 4, 8], dtype: "u32" } },
    ({ table, ids }) => gather({ table, ids }, {}),
  );
});
