// Layer maps: what their papers say, and what cannot be matched.

import { expect, test } from "vitest";
import { type LayerMap, layerPairs, spreadLayers } from "../../src/recipes/maps.ts";

test.each<[LayerMap, number, number, [number, number][]]>([
  // TinyBERT: g(m) = 3m with 4 layers, 2m with 6; rounded where M does not divide N.
  [
    "uniform",
    12,
    4,
    [
      [1, 3],
      [2, 6],
      [3, 9],
      [4, 12],
    ],
  ],
  [
    "uniform",
    12,
    6,
    [
      [1, 2],
      [2, 4],
      [3, 6],
      [4, 8],
      [5, 10],
      [6, 12],
    ],
  ],
  [
    "uniform",
    6,
    4,
    [
      [1, 2],
      [2, 3],
      [3, 5],
      [4, 6],
    ],
  ],
  [
    "uniform",
    4,
    4,
    [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ],
  ],
  [
    "top",
    12,
    4,
    [
      [1, 9],
      [2, 10],
      [3, 11],
      [4, 12],
    ],
  ],
  [
    "bottom",
    12,
    4,
    [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ],
  ],
  // Patient KD, 12 → 6 and 12 → 3.
  [
    "skip",
    12,
    6,
    [
      [1, 2],
      [2, 4],
      [3, 6],
      [4, 8],
      [5, 10],
    ],
  ],
  [
    "last",
    12,
    6,
    [
      [1, 7],
      [2, 8],
      [3, 9],
      [4, 10],
      [5, 11],
    ],
  ],
  [
    "last",
    12,
    3,
    [
      [1, 10],
      [2, 11],
    ],
  ],
  ["final", 24, 6, [[6, 24]]],
])("%s, %i → %i", (map, N, M, expected) => {
  expect(layerPairs(map, N, M)).toEqual(expected);
});

test("teacher layers may be named instead", () => {
  expect(layerPairs("final", 24, 6, [21])).toEqual([[6, 21]]);
  expect(layerPairs("uniform", 12, 2, [12, 1])).toEqual([
    [1, 12],
    [2, 1],
  ]);
});

test.each<[string, () => unknown, string, string]>([
  [
    "too few",
    () => layerPairs("uniform", 12, 3, [4, 8]),
    "LAYER_MAP",
    "[4,8] must name 3 teacher layers between 1 and 12, one for each of the student's layers 1, 2, 3",
  ],
  ["past the end", () => layerPairs("final", 6, 3, [7]), "LAYER_MAP", "[7] must name 1 teacher layers between 1 and 6"],
  ["a student deeper than its teacher", () => layerPairs("top", 3, 4), "LAYER_MAP", "[0,1,2,3] must name 4"],
  [
    "nothing below the last layer",
    () => layerPairs("skip", 12, 1),
    "RECIPE_LAYERS",
    'map "skip" matches the layers below the last',
  ],
])("%s is refused", (_, pairs, code, message) => {
  expect(pairs).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
});

test.each([
  [12, 6, [0, 2, 4, 7, 9, 11]],
  [12, 4, [0, 4, 7, 11]],
  [12, 3, [0, 6, 11]],
  [6, 3, [0, 3, 5]],
  [4, 4, [0, 1, 2, 3]],
  [6, 1, [0]],
])("of %i layers a student of %i begins with %j", (N, M, layers) => {
  expect(spreadLayers(N, M)).toEqual(layers);
});
