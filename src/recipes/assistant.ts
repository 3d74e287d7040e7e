// MiniLM through a teacher assistant (Mirzadeh et al. 2020, arXiv:1902.03393; Wang et al. 2020, arXiv:2002.10957, section 3.4): where the
// student has at most half of the teacher's N layers and of its width, an assistant of N layers and the student's width comes between them.

import { minilm } from "./minilm.ts";
import type { Recipe } from "./recipe.ts";

export const assistant: Recipe = {
  ...minilm,
  name: "assistant",
  summary: "minilm by way of a teacher assistant",
  source: "Mirzadeh et al. 2020, arXiv:1902.03393; Wang et al. 2020, arXiv:2002.10957",
  assistants: ["auto"],
};
