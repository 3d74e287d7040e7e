// Pre-training: a model learns to tell masked tokens of plain text. What a sentence encoder lacks to teach or to be taught in that way is the
// head, so that is what is trained; the body too if it is asked for, and always where it is fresh.

import type { Dataset } from "../data/dataset.ts";
import { loadTokenizer } from "../data/tokenizer.ts";
import { InputError } from "../errors.ts";
import { type CommonConfig, labelMaps } from "../formats/config.ts";
import { type Files, readText } from "../formats/files.ts";
import { TOKENIZER_FILES } from "../formats/tokenizerFiles.ts";
import { bert } from "../models/bert.ts";
import { noMaskedLm } from "../models/features.ts";
import { familyOf } from "../models/index.ts";
import { mlm } from "../recipes/mlm.ts";
import { IDLE, type Recipe } from "../recipes/recipe.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { forTasks, loadModel, type Model } from "./model.ts";
import { TRAINING } from "./options.ts";
import { baseName, type DataSource, type FolderSource, openFolder } from "./session.ts";
import { stagesOf } from "./stages.ts";
import { freshStudent, parseStudent } from "./student.ts";
import { heldOut } from "./text.ts";
import { beginning, type CommonOptions, checkStages, readTexts, type Setup, type TrainingRun, train } from "./train.ts";

export interface PretrainOptions extends CommonOptions {
  /** A folder, a model in memory, or a fresh one such as `bert:4x312`, which needs a tokenizer. */
  readonly model: FolderSource | Model;
  /** Plain text, a file or several; of one without `evalText` the last rows are held out. */
  readonly text: DataSource | readonly DataSource[];
  /** Folder with the tokenizer of a fresh model. */
  readonly tokenizer?: FolderSource;
  /** Not only the head. */
  readonly trainBody?: boolean;
}

export async function* pretrain(runtime: Runtime, options: PretrainOptions): TrainingRun {
  yield* beginning(runtime, options);
  return yield* train(runtime, await pretrainSetup(runtime, options), options);
}

/** Everything that the options name, loaded and checked; nothing is trained. */
export async function pretrainSetup(runtime: Runtime, options: PretrainOptions): Promise<Setup> {
  const { model, fresh } = await loadBase(runtime, options);
  const trainBody = fresh || options.trainBody === true;
  const { text } = mlm.stages;
  const recipe: Recipe = trainBody ? mlm : { ...mlm, stages: { text: { ...text, frozen: true } } };
  const { evalText, ...read } = await readTexts(runtime, options);
  const given = read.text as Dataset;
  const parts = evalText ? { text: given, evalText } : heldOut(given);
  const data = { ...read, ...parts, train: parts.text };
  const setup: Setup = {
    command: "pretrain",
    summary: `${baseName(model.name)} pre-trained on ${baseName(data.train.file)}`,
    ...{ student: model, teachers: [], recipe, hyper: IDLE, stages: stagesOf(recipe, options).stages },
    ...{ argmaxTargets: false, data, resolved: { model: model.name, trainBody } },
  };
  checkStages(setup);
  return setup;
}

async function loadBase(runtime: Runtime, options: PretrainOptions): Promise<{ model: Model; fresh: boolean }> {
  const { model: source, allowNonfinite, seed = TRAINING.seed } = options;
  if (typeof source === "object" && "weights" in source) {
    if (!familyOf(source.config).maskedLm) throw noMaskedLm(source.name);
    return { model: forTasks(source, ["maskedLm"], seed), fresh: false };
  }
  const spec = typeof source === "string" ? parseStudent(source, "--model") : undefined;
  if (spec?.kind === "fresh") return { model: await freshModel(runtime, source as string, spec, options), fresh: true };
  if (options.tokenizer !== undefined)
    throw new InputError("TOKENIZER", "a model that is not fresh has its own tokenizer.", { where: "--tokenizer" });
  if (spec?.kind === "layers" || spec?.kind === "slice")
    throw new InputError("MODEL", `"${source}" is cut out of a teacher, and here is none; name a folder.`, {
      where: "--model",
    });
  const load = { tasks: ["maskedLm"], freshMaskedLm: true, seed, allowNonfinite } as const;
  return { model: await loadModel(openFolder(runtime, source), load), fresh: false };
}

/** As large as BERT-base where the size says nothing. */
const BASE = { layers: 12, width: 768, heads: 12, inner: 3072 };
const POSITIONS = 512;

async function freshModel(
  runtime: Runtime,
  name: string,
  spec: ReturnType<typeof parseStudent> & { kind: "fresh" },
  { tokenizer: source, seed = TRAINING.seed }: PretrainOptions,
): Promise<Model> {
  if (source === undefined)
    throw new InputError("NO_TOKENIZER", `"${name}" is a fresh model: name a folder with its tokenizer.`, {
      where: "--tokenizer",
    });
  const tokenizer = loadTokenizer(await tokenizerFiles(openFolder(runtime, source)));
  const common: CommonConfig = {
    ...{ model_type: "", vocab_size: tokenizer.vocabularySize, max_position_embeddings: POSITIONS },
    ...{ initializer_range: 0.02, pad_token_id: tokenizer.padId, ...labelMaps(["LABEL_0", "LABEL_1"]) },
    problem_type: null,
  };
  const { maskedLm, heads = BASE.heads } = familyOf({ model_type: spec.type });
  if (!maskedLm) throw noMaskedLm(name);
  const like = { config: bert.sized({ ...BASE, heads }, common), weights: new Map() };
  const body = freshStudent(spec, { like, pair: false, seed }, "--model");
  return { ...forTasks({ ...body, name, tokenizer, notes: [] }, ["maskedLm"], seed), notes: [] };
}

async function tokenizerFiles(files: Files): Promise<Map<string, string>> {
  if (!(await files.exists()))
    throw new InputError("FOLDER_NOT_FOUND", "there is no such folder.", { where: files.folder });
  const found = new Map<string, string>();
  for (const name of TOKENIZER_FILES)
    if ((await files.size(name)) !== undefined) found.set(name, await readText(files, name));
  return found;
}
