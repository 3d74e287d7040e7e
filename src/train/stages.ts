// The stages of a run: which of the recipe's are made, and with what numbers. The options of a run belong to its last stage, the task; the
// others have the recipe's numbers, and those that are given for them by name.

import { InputError } from "../errors.ts";
import { familyOf, type ModelConfig } from "../models/index.ts";
import { hash32 } from "../random.ts";
import type { Recipe, Stage, StageOptions } from "../recipes/recipe.ts";
import { checkNumbers, TRAINING, type TrainingOptions } from "./options.ts";

export interface RunStage {
  readonly name: string;
  readonly stage: Stage;
  readonly options: TrainingOptions;
}

export interface StageChoice extends Partial<TrainingOptions> {
  /** Numbers of one stage, by its name. */
  readonly stages?: Readonly<Record<string, Partial<StageOptions>>>;
  readonly text?: unknown;
}

const OPTIONAL = ["adamBeta1", "adamBeta2", "adamEpsilon", "mlmSmoothing"] as const;
const NAMES = new Set<string>([...Object.keys(TRAINING), ...OPTIONAL]);
/** Of the run, not of a stage. */
const SHARED = new Set(["maxLength", "seed", "evalSteps", "loggingSteps", "fp16"]);

const picked = (options: object, holds: (name: string) => boolean): Partial<TrainingOptions> =>
  Object.fromEntries(Object.entries(options).filter(([name, value]) => value !== undefined && holds(name)));

export function stagesOf(recipe: Recipe, choice: StageChoice): { stages: RunStage[]; notes: string[] } {
  checkNumbers({ ...choice });
  const names = Object.keys(recipe.stages);
  for (const [name, given] of Object.entries(choice.stages ?? {})) {
    if (!names.includes(name))
      throw new InputError(
        "UNKNOWN_STAGE",
        `recipe "${recipe.name}" has no stage "${name}"; its stages: ${names.join(", ")}.`,
        { where: "--stage" },
      );
    const unknown = Object.keys(given).find((key) => !NAMES.has(key) || SHARED.has(key));
    if (unknown !== undefined)
      throw new InputError(
        "UNKNOWN_STAGE",
        `a stage has no option "${unknown}"; it has ${[...NAMES].filter((key) => !SHARED.has(key)).join(", ")}.`,
        { where: `--stage ${name}` },
      );
    checkNumbers({ ...given }, (key) => `--stage ${name}.${key}`);
  }

  const stages: RunStage[] = [];
  const notes: string[] = [];
  for (const [i, name] of names.entries()) {
    const stage = recipe.stages[name];
    const last = i === names.length - 1;
    const options: TrainingOptions = {
      ...TRAINING,
      ...stage.training,
      ...picked(choice, (key) => NAMES.has(key) && (last || SHARED.has(key))),
      ...picked(choice.stages?.[name] ?? {}, () => true),
    };
    if (names.length > 1) options.seed = hash32(`${options.seed}/${name}`);
    const text = stage.data !== "text" || choice.text !== undefined;
    if (!text && stage.optional) notes.push(`stage "${name}" is left out: it reads plain text, and there is no --text`);
    else if (!last && options.epochs === 0 && options.maxSteps === 0)
      notes.push(`stage "${name}" is left out: 0 epochs`);
    else if (!text)
      throw new InputError(
        "NO_TEXT",
        `stage "${name}" of "${recipe.name}" reads plain text: give --text FILE (the training file will do), or leave it out with --stage ${name}.epochs=0.`,
      );
    else stages.push({ name, stage, options });
  }
  return { stages, notes };
}

/** A stage for each layer of the student in the place of those that say so; all of them together take as many epochs or steps. */
export function layerByLayer(stages: readonly RunStage[], student: ModelConfig): RunStage[] {
  const { layers } = familyOf(student).size(student);
  return stages.flatMap((run) => {
    if (run.stage.layer !== "each") return [run];
    const { epochs, maxSteps, seed } = run.options;
    return Array.from({ length: layers }, (_, i) => {
      const name = `${run.name}-${i + 1}`;
      const shared = {
        epochs: epochs / layers,
        maxSteps: Math.ceil(maxSteps / layers),
        seed: hash32(`${seed}/${name}`),
      };
      return { name, stage: { ...run.stage, layer: i + 1 }, options: { ...run.options, ...shared } };
    });
  });
}
