// LAMB (You et al. 2020, arXiv:1904.00962, algorithm 2), and without the corrections of the bias as MobileBERT's code has it.

import { lamb as update } from "../ops/index.ts";
import type { Optimizer } from "./optimizer.ts";

const defaults = { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weightDecay: 0.01, maxNorm: 1 };
const named = (name: string, correct: boolean): Optimizer => ({
  ...{ name, defaults },
  update: (of, { decay }) => update(of, { decay, correct }),
});

export const lamb = named("lamb", true);
export const lambUncorrected = named("lambUncorrected", false);
