import { describe } from "vitest";
import { crossEntropy, kl, mse, NONE, softmax } from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

const weight = { shape: [4], data: [0.5, 0.25, 0, 0.5], fixed: true };

describe("crossEntropy", () => {
  const labels = { shape: [4], data: [2, NONE, 0, 1], dtype: "u32" as const };
  for (const C of [2, 3, 150])
    opCase(
      `${C} classes, one row without a label, one without weight`,
      {
        logits: { shape: [4, C] },
        labels: { ...labels, data: labels.data.map((l) => (l < NONE ? l % C : l)) },
        weight,
      },
      ({ logits, labels, weight }) => crossEntropy({ logits, labels, weight }, {}),
    );
  opCase(
    "logits of a thousand",
    {
      logits: { shape: [4, 2], data: [1000, -1000, 5, 4, 3, 2, -900, 900] },
      labels: { ...labels, data: [1, NONE, 0, 0] },
      weight,
    },
    ({ logits, labels, weight }) => crossEntropy({ logits, labels, weight }, {}),
    { gradients: false },
  );
});

describe("kl", () => {
  for (const T of [1, 4])
    for (const C of [2, 7])
      opCase(
        `${C} classes at T = ${T}`,
        {
          logits: { shape: [4, C] },
          teacher: { shape: [4, C], fixed: true },
          temperature: { shape: [1], data: [T], fixed: true },
          weight,
        },
        ({ logits, teacher, temperature, weight }) =>
          kl({ targets: softmax({ x: teacher, temperature }, {}), logits, temperature, weight }, {}),
      );
  opCase(
    "a target of exactly zero",
    {
      logits: { shape: [2, 2], data: [3, -3, 60, -60] },
      targets: { shape: [2, 2], data: [1, 0, 0, 1], fixed: true },
      temperature: { shape: [1], data: [2], fixed: true },
      weight: { shape: [2], data: [1, 1], fixed: true },
    },
    ({ targets, logits, temperature, weight }) => kl({ targets, logits, temperature, weight }, {}),
  );
});

describe("mse", () => {
  for (const D of [1, 18])
    opCase(`${D} columns`, { a: { shape: [4, D] }, b: { shape: [4, D], fixed: true }, weight }, ({ a, b, weight }) =>
      mse({ a, b, weight }, {}),
    );
});
