// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), with PyTorch's numbers.

import { adamw as update } from "../ops/index.ts";
import type { Optimizer } from "./optimizer.ts";

export const adamw: Optimizer = {
  name: "adamw",
  defaults: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, maxNorm: 1 },
  update,
};
