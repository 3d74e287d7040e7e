// DistilBERT (Sanh et al. 2019, arXiv:1910.01108): on plain text with masks, z logits over the vocabulary, h the last states,
//   L = 5·T²·KL(softmax(z_T/T) ‖ softmax(z_S/T)) + 2·CE(z_S, what masked tokens were) + 1·(1 − cos(h_S, h_T)),  T = 2
// then the task: soft labels and labels in equal parts at T = 2, as its code distils a second time. KL and cosine are means over all tokens
// of the batch, as its code has them (the paper does not say); --restrict-ce-to-mask compares the masked tokens alone, as its code can. The
// code's weights, optimiser and token frequencies (mlmSmoothing); its batch of 5 sentences 50 times over is left to the options. Where widths
// differ a trained matrix maps h_S, which is ours. The student is `distilbert:layers:6`: teacher layers 0, 2, 4, 7, 9 and 11 of 12.

import { kd } from "./kd.ts";
import type { Recipe } from "./recipe.ts";

export const distilbert: Recipe = {
  name: "distilbert",
  summary: "a masked-LM teacher on plain text: its probabilities of all tokens, masked tokens, last states; then kd",
  source: "Sanh et al. 2019, arXiv:1910.01108",
  hyper: { temperature: 2, alpha: 0.5 },
  stages: {
    text: {
      data: "text",
      terms: {
        soft: { loss: "kl", of: "vocabulary", temperature: "temperature", weight: 5 },
        mlm: { loss: "labels", of: "masked", weight: 2 },
        cosine: { loss: "cosine", of: "hidden", map: "final", project: "hidden", mean: "tokens" },
      },
      training: {
        ...{ epochs: 3, learningRate: 5e-4, warmupRatio: 0.05, weightDecay: 0, maxGradNorm: 5 },
        ...{ adamBeta2: 0.98, adamEpsilon: 1e-6, mlmSmoothing: 0.7 },
      },
    },
    task: kd.stages.task,
  },
};
