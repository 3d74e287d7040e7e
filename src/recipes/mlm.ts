// Masked-LM alone (Devlin et al. 2019, arXiv:1810.04805): the mean over the masked tokens of −log softmax(z)[what the token was].
// What `limbeck pretrain` does, there with the body frozen unless it is asked for; and the baseline of `distilbert`.

import type { Recipe } from "./recipe.ts";

export const mlm: Recipe = {
  name: "mlm",
  summary: "masked tokens of plain text alone",
  source: "Devlin et al. 2019, arXiv:1810.04805",
  stages: { text: { data: "text", terms: { mlm: { loss: "labels", of: "masked" } } } },
};
