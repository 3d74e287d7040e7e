// Terms over the whole vocabulary, of a masked-LM head (models/vocabulary.ts). Means are over the tokens of the batch, not first over each
// sequence, because masked tokens are drawn from the batch:
//   labels of masked     mean over the masked tokens of −log softmax(z)[what the token was]
//   kl of vocabulary     mean over all tokens of KL(softmax(z_teacher/T) ‖ softmax(z/T)); counts T² times in the loss
//   kl of masked         the same over the masked tokens
// Logits are what such a stage costs, so labels are taken from those that a kl needs anyway.

import { InputError } from "../errors.ts";
import type { BatchValues, Features } from "../models/features.ts";
import { vocabularyLoss } from "../models/vocabulary.ts";
import { gather } from "../ops/index.ts";
import type { Value } from "../program/value.ts";
import type { Stage, Term } from "./recipe.ts";

type Over = "vocabulary" | "masked";
type Masks = NonNullable<BatchValues["masks"]>;

export const overVocabulary = ({ of }: Pick<Term, "of">): boolean => of === "vocabulary" || of === "masked";

export function readsVocabulary({ terms }: Pick<Stage, "terms">): boolean {
  return Object.values(terms).some(overVocabulary);
}

interface Inputs {
  readonly teachers: readonly Features[];
  readonly student: Features;
  readonly batch: BatchValues;
  readonly temperature: Value;
}

/** The terms that are over the vocabulary, [1] each. */
export function vocabularyTerms(terms: Stage["terms"], inputs: Inputs): Record<string, Value> {
  const { student, batch } = inputs;
  const own = Object.entries(terms).filter(([, term]) => overVocabulary(term));
  const labels = own.filter(([, { loss }]) => loss === "labels").map(([name]) => name);
  const traced: Record<string, Value> = {};
  for (const [name, term] of own.filter(([, { loss }]) => loss !== "labels")) {
    const over = term.of as Over;
    const joined = labels.shift();
    const soft = softTargets(name, term, over, inputs);
    if (joined === undefined) Object.assign(traced, { [name]: vocabularyLoss(student[over], { soft }).soft });
    else {
      const both = vocabularyLoss(student[over], { soft, hard: hardTargets(batch.masks as Masks, over) });
      Object.assign(traced, { [name]: both.soft, [joined]: both.hard });
    }
  }
  for (const name of labels)
    traced[name] = vocabularyLoss(student.masked, { hard: hardTargets(batch.masks as Masks, "masked") }).hard;
  return traced;
}

/** Rows behind the last masked one have the weight 0. */
function hardTargets({ rows: ids, targets, weight }: Masks, over: Over): { labels: Value; weight: Value } {
  if (over === "vocabulary") return { labels: targets, weight };
  return { labels: gather({ table: targets, ids }, {}), weight: gather({ table: weight, ids }, {}) };
}

function softTargets(name: string, { temperature: T }: Term, over: Over, inputs: Inputs) {
  const { teachers, student, batch } = inputs;
  const [teacher] = teachers;
  const [mine, theirs] = [student[over], teacher[over]].map(({ table }) => table.shape[0]);
  if (mine !== theirs)
    throw new InputError(
      "RECIPE_VOCABULARY",
      `term "${name}" compares probabilities of the same tokens: the teacher has ${theirs}, the student ${mine}. Use a student of the teacher's vocabulary, or a recipe without such terms.`,
    );
  const temperature = T === "temperature" ? inputs.temperature : batch.eachWeight.trace.constant([T ?? 1]);
  const weight = over === "vocabulary" ? batch.eachWeight : hardTargets(batch.masks as Masks, over).weight;
  return { teacher: teacher[over], temperature, weight };
}
