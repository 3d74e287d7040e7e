import { describe } from "vitest";
import {
  attentionPairs,
  crossEntropy,
  kl,
  klGrad,
  mse,
  mseGrad,
  NONE,
  softCrossEntropy,
  softmax,
} from "../../src/ops/index.ts";
import { opCase } from "./case.ts";

const weight = { shape: [4], data: [0.5, 0.25, 0, 0.5], fixed: true };

describe("crossEntropy [N2]", () => {
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

describe("kl [N2]", () => {
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
  // Equal logits, and others, at temperatures that make a one-hot vector and a uniform distribution of them.
  for (const T of [1e-3, 1e6])
    opCase(
      `equal logits, and others, at T = ${T}`,
      {
        logits: { shape: [3, 3], data: [2, 2, 2, 1, 2, 3, 0, 0, 0] },
        teacher: { shape: [3, 3], data: [5, 5, 5, 0, 0, 0, 3, 1, -4], fixed: true },
        temperature: { shape: [1], data: [T], fixed: true },
        weight: { shape: [3], data: [0.5, 0.25, 0.25], fixed: true },
      },
      ({ logits, teacher, temperature, weight }) =>
        kl({ targets: softmax({ x: teacher, temperature }, {}), logits, temperature, weight }, {}),
      { gradients: false },
    );
  // 1e-40 has fewer bits than other numbers, and a GPU may take it for 0; its logarithm is an ordinary number, or that of 0.
  opCase(
    "targets and probabilities that are subnormal",
    {
      logits: { shape: [3, 3], data: [95, 0, 0, 0, 3, 95, 0, 0, 0] },
      targets: { shape: [3, 3], data: [1, 1e-40, 1e-45, 1e-39, 1, 1.1e-38, 1e-41, 1, 0], fixed: true },
      temperature: { shape: [1], data: [1], fixed: true },
      weight: { shape: [3], data: [0.5, 0.25, 0.25], fixed: true },
    },
    ({ targets, logits, temperature, weight }) => kl({ targets, logits, temperature, weight }, {}),
    { gradients: false },
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

describe("softCrossEntropy", () => {
  opCase(
    "5 classes at T = 2",
    {
      logits: { shape: [4, 5] },
      teacher: { shape: [4, 5], fixed: true },
      temperature: { shape: [1], data: [2], fixed: true },
      weight,
    },
    ({ logits, teacher, temperature, weight }) =>
      softCrossEntropy({ targets: softmax({ x: teacher, temperature }, {}), logits, temperature, weight }),
  );
});

// Sequences of 3, 5, 0 and 1 rows and two tail rows; every row has entries that are not its own. These hold numbers that
// would show in every sum, and NaN where the executor must not even read.
const [N, H, L] = [11, 3, 16];
const ragged = { shape: [5], data: [0, 3, 8, 8, 9], dtype: "u32" as const };
const perToken = { shape: [N], data: [0.1, 0.1, 0.1, 0.2, 0, 0.2, 0.2, 0.2, 0.7, 0.3, 0.3], fixed: true };
const lengths = [3, 3, 3, 5, 5, 5, 5, 5, 1, 0, 0];
const map = (outside: number) => ({
  shape: [N, H, L],
  data: lengths.flatMap((length, n) =>
    Array.from({ length: H * L }, (_, i) => (i % L < length ? ((n * 7 + i * 5) % 11) / 4 - 1 : outside)),
  ),
});

describe("attention maps, each row as long as its sequence", () => {
  for (const outside of [1000, Number.NaN]) {
    const options = { gradients: outside === 1000 };
    opCase(
      `mse of scores, ${outside} outside`,
      { a: map(outside), b: { shape: [N, H, L], fixed: true }, weight: perToken, offsets: ragged },
      ({ a, b, weight, offsets }) => mse({ a, b, weight, offsets }, {}),
      options,
    );
    opCase(
      `kl of rows, ${outside} outside`,
      {
        logits: map(outside),
        teacher: { shape: [N, H, L], fixed: true },
        temperature: { shape: [1], data: [1], fixed: true },
        weight: perToken,
        offsets: ragged,
      },
      ({ logits, teacher, temperature, weight, offsets }) =>
        kl({ targets: softmax({ x: teacher, offsets }, {}), logits, temperature, weight, offsets }, {}),
      options,
    );
    opCase(
      `gradient of mse, ${outside} outside`,
      { dy: { shape: [N] }, a: map(outside), b: { shape: [N, H, L] }, weight: perToken, offsets: ragged },
      ({ dy, a, b, weight, offsets }) => mseGrad({ dy, a, b, weight, offsets }, {}),
      { gradients: false },
    );
    opCase(
      `gradient of kl, ${outside} outside`,
      {
        dy: { shape: [N] },
        logits: map(outside),
        teacher: { shape: [N, H, L] },
        temperature: { shape: [1], data: [2] },
        weight: perToken,
        offsets: ragged,
      },
      ({ dy, logits, teacher, temperature, weight, offsets }) =>
        klGrad({ dy, targets: softmax({ x: teacher, offsets }, {}), logits, temperature, weight, offsets }, {}),
      { gradients: false },
    );
  }
  opCase(
    "relations of values among themselves, with other heads than the model's, in 4 heads of 3 columns",
    {
      values: { shape: [N, 12] },
      teacher: { shape: [N, 8], fixed: true },
      temperature: { shape: [1], data: [1], fixed: true },
      weight: perToken,
      offsets: ragged,
    },
    ({ values, teacher, temperature, weight, offsets }) => {
      const relation = (v: typeof values, scale: number) => attentionPairs({ q: v, k: v, offsets }, { H: 4, L, scale });
      const targets = softmax({ x: relation(teacher, Math.SQRT1_2), offsets }, {});
      return kl({ targets, logits: relation(values, 1 / Math.sqrt(3)), temperature, weight, offsets }, {});
    },
  );
});
