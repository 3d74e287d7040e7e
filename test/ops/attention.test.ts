import { describe } from "vitest";
import { attentionMix, attentionMixT, attentionPairs, softmax } from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

// Four sequences (one empty, one of a single token) and three tail rows.
const offsets = { shape: [5], data: [0, 5, 6, 13, 13], dtype: "u32" as const };

describe("attention", () => {
  for (const [H, d] of [
    [2, 13],
    [3, 8],
  ]) {
    const rows = { shape: [16, H * d] };
    const map = { shape: [16, H, 16] };
    const title = `H=${H} d=${d}`;
    opCase(`attentionPairs ${title}`, { q: rows, k: rows, offsets }, ({ q, k, offsets }) =>
      attentionPairs({ q, k, offsets }, { H, L: 16, scale: 0.25 }),
    );
    opCase(`attentionMix ${title}`, { p: map, v: rows, offsets }, ({ p, v, offsets }) =>
      attentionMix({ p, v, offsets }, { scale: 0.5 }),
    );
    opCase(`attentionMixT ${title}`, { p: map, x: rows, offsets }, ({ p, x, offsets }) =>
      attentionMixT({ p, x, offsets }, { scale: 2, N: 16 }),
    );
    opCase(`softmax over own length ${title}`, { x: map, offsets }, ({ x, offsets }) => softmax({ x, offsets }, {}));

    const [some, fewer] = [{ shape: [4, H * d] }, { shape: [4, H, 16] }];
    const bySequence = true;
    opCase(`attentionPairs, a row a sequence ${title}`, { q: some, k: rows, offsets }, ({ q, k, offsets }) =>
      attentionPairs({ q, k, offsets }, { H, L: 16, scale: 0.25, bySequence }),
    );
    opCase(`attentionMix, a row a sequence ${title}`, { p: fewer, v: rows, offsets }, ({ p, v, offsets }) =>
      attentionMix({ p, v, offsets }, { scale: 0.5, bySequence }),
    );
    opCase(`attentionMixT, a row a sequence ${title}`, { p: fewer, x: some, offsets }, ({ p, x, offsets }) =>
      attentionMixT({ p, x, offsets }, { scale: 2, N: 16, bySequence }),
    );
    opCase(`softmax, a row a sequence ${title}`, { x: fewer, offsets }, ({ x, offsets }) =>
      softmax({ x, offsets }, { bySequence }),
    );
  }
  const T = { shape: [1], data: [3], fixed: true };
  opCase("softmax of rows at T", { x: { shape: [5, 7] }, T }, ({ x, T }) => softmax({ x, temperature: T }, {}));
});
