// AdaDelta (Zeiler 2012, arXiv:1212.5701): steps as large as those before, so its learning rate is 1. ρ is `beta2`.

import { adadelta as update } from "../ops/index.ts";
import type { Optimizer } from "./optimizer.ts";

export const adadelta: Optimizer = {
  name: "adadelta",
  defaults: { beta1: 0, beta2: 0.95, epsilon: 1e-6, weightDecay: 0, maxNorm: 0 },
  update: ({ w, g, m, v, hyper, norm }, attributes) => {
    update({ w, g, m, v, hyper, norm }, attributes);
  },
};
