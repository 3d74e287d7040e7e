// Patient knowledge distillation (Sun et al. 2019, arXiv:1908.09355):
//   L = (1 − α)·CE + α·T²·KL + β·L_PT
//   L_PT = mean over batch, matched layers and width of (ĥ_S[i] − ĥ_T[g(i)])²,  ĥ = h/‖h‖ of the [CLS] token,  i = 1 … M−1
// Canonical form: L_PT is the element mean of the authors' code (their β of 10 … 1000 belong to it; the paper writes a sum);
// KL is the batch mean of `kd`. g is the map `skip` or `last` (maps.ts).

import { kd } from "./kd.ts";
import type { Recipe } from "./recipe.ts";

const patient = (map: "skip" | "last"): Recipe => ({
  name: `pkd-${map}`,
  summary: `kd and the [CLS] states of ${map === "skip" ? "every so many" : "the last"} layers`,
  source: "Sun et al. 2019, arXiv:1908.09355",
  hyper: { ...kd.hyper, beta: 100 },
  stages: {
    task: {
      terms: {
        ...kd.stages.task.terms,
        patience: { loss: "mse", of: "cls", normalize: true, map, reduction: "mean", weight: "beta" },
      },
    },
  },
});

export const pkdSkip = patient("skip");
export const pkdLast = patient("last");
