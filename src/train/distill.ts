// What a distillation is made of: teachers, a student, a recipe and text, loaded and checked. chain.ts runs it.

import type { Dataset } from "../data/dataset.ts";
import type { SoftForm } from "../data/softLabels.ts";
import { InputError } from "../errors.ts";
import { does, type Task } from "../formats/config.ts";
import { decodeUtf8 } from "../formats/files.ts";
import { parseConfig } from "../models/index.ts";
import { type RecipeChoices, withChoices } from "../recipes/choices.ts";
import { parseRecipe } from "../recipes/file.ts";
import { recipeNamed } from "../recipes/index.ts";
import { IDLE, needsTeacher, type Recipe } from "../recipes/recipe.ts";
import { readsVocabulary } from "../recipes/vocabulary.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { augmented } from "./augmented.ts";
import { CacheFolder, type Precision } from "./cacheFolder.ts";
import { embeddingTable } from "./embeddings.ts";
import {
  forTasks,
  freshWeights,
  type Labels,
  labelsOf,
  loadModel,
  type Model,
  requireLabels,
  withLabels,
} from "./model.ts";
import { checkNumbers, TRAINING } from "./options.ts";
import { baseName, type DataSource, type FolderSource, openFile, openFolder } from "./session.ts";
import { layerByLayer, type RunStage, stagesOf } from "./stages.ts";
import { cutStudent, freshStudent, parseStudent } from "./student.ts";
import { substitutesFor } from "./substitutes.ts";
import { type CommonOptions, checkStages, type Data, labelsOfData, readData, readTexts, type Setup } from "./train.ts";

export interface DistillOptions extends CommonOptions, RecipeChoices {
  /** One teacher, or several for an ensemble: folders, or models in memory. None where the data bring soft labels (`data.softLabels`). */
  readonly teacher?: FolderSource | Model | readonly (FolderSource | Model)[];
  /**
   * `layers:K`, `layers:0,2,4`, `distilbert:layers:K`, `slice:LxD[xHxF]`, `bert:LxD[xHxF]`, `distilbert:…` likewise,
   * `mobilebert:LxDxT[xHxFxN]`, `ibbert:…` likewise, a folder, a config.json, or a model in memory.
   */
  readonly student: FolderSource | Model;
  /**
   * What `layers:…` and `slice:…` are cut out of instead of the teacher: the un-tuned base, as PKD did. Without a teacher also what a fresh
   * student has its vocabulary from.
   */
  readonly initFrom?: FolderSource | Model;
  /** Word vectors in the text format of GloVe or word2vec, for a student that begins with such: a file, in place of the teacher's. */
  readonly embeddings?: DataSource;
  /** A model with a masked-LM head, which makes copies of the texts where the recipe has such; none unless given. */
  readonly augmentationModel?: FolderSource | Model;
  /** Word vectors, as of `embeddings`, by which it finds words near to those of several pieces; that model's own unless given. */
  readonly augmentationVectors?: DataSource;
  /** Students that are trained on the way, each the teacher of the next; "auto": one by MiniLM's rule. Those of the recipe unless given. */
  readonly assistant?: string | readonly string[];
  /** Teaches the stages on plain text: the model before any task, as TinyBERT and MiniLM have it; the teacher unless given. */
  readonly textTeacher?: FolderSource | Model;
  /** A folder where what the teachers say of the rows is kept, for later epochs and runs. */
  readonly cache?: FolderSource;
  /** What it may take, in megabytes; 2000 unless given. */
  readonly cacheSize?: number;
  /** Of the kept numbers; f16 unless given. */
  readonly cachePrecision?: Precision;
  /** Its name, a file NAME.json, or the recipe itself; kd unless given. */
  readonly recipe?: string | Recipe;
  /** "labels": those of the data; "argmax": the teacher's class stands in for every label. */
  readonly targets?: "labels" | "argmax";
}

const isModel = (source: FolderSource | Model): source is Model => typeof source === "object" && "weights" in source;

/** Everything that the options name, loaded and checked; nothing is trained. */
export async function distillSetup(runtime: Runtime, options: DistillOptions): Promise<Setup> {
  checkNumbers({ ...options });
  const chosen = withChoices(await resolveRecipe(runtime, options.recipe ?? "kd"), options);
  const seed = options.seed ?? TRAINING.seed;
  const copies = await substitutesFor(runtime, chosen, options, seed);
  const { recipe } = copies;
  const { stages, notes } = stagesOf(recipe, options);
  const heads = headsOf(stages, options);
  if (options.evalText !== undefined && !stages.some(({ stage }) => stage.data === "text"))
    throw new InputError("EVAL_TEXT", `recipe "${recipe.name}" has no stage on plain text to judge by it.`, {
      where: "--eval-text",
    });
  const soft = options.data?.softLabels;
  const teachers = await loadTeachers(runtime, options, heads.teacher);
  const [teacher] = teachers as [Model | undefined];
  const read = heads.general
    ? await readGeneral(runtime, options)
    : await readData(runtime, options, teacher && labelsOf(teacher.config));
  const labels = teacher ? labelsOf(teacher.config) : labelsOfData(read.train);
  const argmax = options.targets === "argmax";
  if (argmax && labels === null)
    throw new InputError("TARGETS", "argmax needs classes, and this teacher gives a score.", { where: "--targets" });
  if (read.train.softForm) checkSoftLabels(recipe, options, read.train.softForm, read.train);
  const data = heads.general ? read : await augmented(read, recipe, seed);
  const wanted: StudentFor = { teacher, labels, pair: data.train.pair, tasks: heads.student };
  const made = await makeStudent(runtime, options, wanted);
  const textTeacher = await loadTextTeacher(runtime, options, made, heads.textTeacher, stages);
  const student = heads.student ? forTasks(made, heads.student, seed, textTeacher ?? teacher) : made;
  const hyper = { ...IDLE, ...recipe.hyper };
  const foreign = teacher !== undefined && !sameVocabulary(teacher, student);
  const asked = stages.filter(({ stage }) => needsTeacher(stage) && !(stage.data === "text" && textTeacher));
  if (foreign) checkForeign(student, teachers, asked);
  const names = teachers.map(({ name }) => name);
  const taughtBy = soft ? `soft labels (${soft.columns.join(", ")})` : names.map(baseName).join(", ");
  const setup: Setup = {
    command: "distill",
    summary: `${baseName(student.name)} distilled from ${taughtBy} by ${recipe.name} on ${baseName(data.train.file)}`,
    ...{ student, teachers, textTeacher, recipe, hyper, stages: layerByLayer(stages, student.config) },
    data: { ...data, notes: [...notes, ...copies.notes, ...data.notes] },
    substitutes: copies.made,
    ...{ argmaxTargets: argmax, softLabels: soft !== undefined, foreign, cache: cacheOf(runtime, options) },
    resolved: {
      ...{ teacher: names, student: student.name, recipe: recipe.name, ...recipe.hyper },
      ...{ textTeacher: textTeacher?.name, targets: options.targets ?? "labels" },
      ...(copies.made ? { augmentationModel: copies.made.model.name, augmentationVectors: copies.made.file } : {}),
      ...(options.cache === undefined ? {} : { cachePrecision: options.cachePrecision ?? CACHE.precision }),
      ...(soft ? { softLabels: { columns: soft.columns, form: read.train.softForm } } : {}),
    },
  };
  checkStages(setup);
  return setup;
}

type Heads = readonly Task[] | undefined;

/**
 * Which heads the models of a run have; undefined: the classifier alone, as where nothing is said of masked-LM. Without a stage on the task
 * its rows are not read, and where no term asks for logits, the models are bodies.
 */
function headsOf(
  stages: readonly RunStage[],
  { train, eval: evaluation, textTeacher, data, augmentationModel }: DistillOptions,
): { readonly [K in "teacher" | "textTeacher" | "student"]?: Heads } & { readonly general?: boolean } {
  const masked = stages.some(({ stage }) => readsVocabulary(stage));
  const general = (masked || train === undefined) && stages.every(({ stage }) => stage.data === "text");
  const [one, both]: Heads[] = [
    masked ? ["maskedLm"] : stages.some(readsClassifier) ? undefined : [],
    ["classification", "maskedLm"],
  ];
  if (general) {
    const refuse = (where: string, advice: string): never => {
      throw new InputError("NO_TASK_STAGE", `every stage of this run is on plain text; ${advice}.`, {
        where,
      });
    };
    if (train !== undefined) refuse("--train", "rows of a task are not read");
    if (evaluation !== undefined) refuse("--eval", "--eval-text is what it is judged by");
    if (augmentationModel !== undefined) refuse("--augmentation-model", "there are no rows to make copies of");
    if (textTeacher !== undefined) refuse("--text-teacher", "name that model as the --teacher");
    if (data?.softLabels) refuse("--soft-label-columns", "they are of rows of a task; name a --teacher");
    return { teacher: one, student: one, general };
  }
  if (!masked) return {};
  return { teacher: textTeacher === undefined ? both : undefined, textTeacher: one, student: both };
}

function readsClassifier({ stage }: RunStage): boolean {
  return Object.values(stage.terms).some(({ of }) => of === "logits" || of === "pooled");
}

/** Data of a run without a task; that there is text was checked with the stages. */
async function readGeneral(runtime: Runtime, options: DistillOptions): Promise<Data> {
  const texts = await readTexts(runtime, options);
  return { ...texts, train: texts.text as Dataset };
}

const CACHE = { megabytes: 2000, precision: "f16" } as const;

function cacheOf(runtime: Runtime, options: DistillOptions): CacheFolder | undefined {
  const { cache, cacheSize = CACHE.megabytes, cachePrecision = CACHE.precision } = options;
  if (cache !== undefined) return new CacheFolder(openFolder(runtime, cache), 1e6 * cacheSize, cachePrecision);
  const idle = options.cacheSize !== undefined ? "--cache-size" : options.cachePrecision && "--cache-precision";
  if (!idle) return undefined;
  throw new InputError("NO_CACHE", "there is no cache that this could be said of; name its folder with --cache.", {
    where: idle,
  });
}

/** What a file's soft labels cannot teach. */
function checkSoftLabels(
  recipe: Recipe,
  { assistant = recipe.assistants }: DistillOptions,
  form: SoftForm,
  { file, pair }: Dataset,
): void {
  const { augmentation } = recipe;
  if (assistant !== undefined)
    throw new InputError(
      "SOFT_LABELS",
      "assistants stand between a teacher and a student; soft labels are no teacher.",
      {
        where: file,
      },
    );
  if (augmentation && (pair ? augmentation.pairNIter : augmentation.nIter) > 0)
    throw new InputError(
      "SOFT_LABELS",
      `recipe "${recipe.name}" makes copies of texts, for which the file has no soft labels; leave them out with --n-iter 0, or name a --teacher.`,
      { where: file },
    );
  if (form !== "probabilities") return;
  for (const { terms } of Object.values(recipe.stages))
    for (const [name, { loss, of }] of Object.entries(terms))
      if (loss === "mse" && of === "logits")
        throw new InputError(
          "SOFT_LABELS",
          `term "${name}" of recipe "${recipe.name}" compares logits themselves, which probabilities do not tell; give logits (--soft-label-form logits), or use kd.`,
          { where: file },
        );
}

/** It needs no classifier: what it is asked for are states, or masked tokens. */
async function loadTextTeacher(
  runtime: Runtime,
  options: DistillOptions,
  student: Model,
  tasks: Heads,
  stages: readonly RunStage[],
): Promise<Model | undefined> {
  const { textTeacher: source, allowNonfinite } = options;
  if (source === undefined) return undefined;
  const load = { labels: labelsOf(student.config), tasks, allowNonfinite };
  const found = isModel(source) ? source : await loadModel(openFolder(runtime, source), load);
  checkVocabulary(student, found, tokenByToken(stages));
  return found;
}

/** A recipe by name, from a file, or as it is. */
async function resolveRecipe(runtime: Runtime, recipe: string | Recipe): Promise<Recipe> {
  if (typeof recipe !== "string") return parseRecipe(JSON.stringify(recipe), "recipe");
  if (!recipe.endsWith(".json")) return recipeNamed(recipe);
  const { bytes } = await openFile(runtime, recipe);
  return parseRecipe(decodeUtf8(bytes, recipe, "NOT_UTF8"), recipe);
}

async function loadTeachers(runtime: Runtime, options: DistillOptions, tasks: Heads): Promise<Model[]> {
  const given = options.data?.softLabels !== undefined;
  if (given && options.teacher !== undefined)
    throw new InputError(
      "TEACHER",
      "either a teacher (--teacher) or soft labels of the file (--soft-label-columns) teach, not both.",
    );
  if (given) return [];
  if (options.teacher === undefined)
    throw new InputError(
      "TEACHER",
      "--teacher is needed; see limbeck distill --help. (Columns with soft labels do without: --soft-label-columns.)",
    );
  const sources = Array.isArray(options.teacher) ? options.teacher : [options.teacher];
  const teachers: Model[] = [];
  for (const source of sources as (FolderSource | Model)[])
    teachers.push(
      isModel(source)
        ? source
        : await loadModel(openFolder(runtime, source), { tasks, allowNonfinite: options.allowNonfinite }),
    );
  const [first, ...others] = teachers;
  for (const other of others) {
    if (JSON.stringify(labelsOf(other.config)) !== JSON.stringify(labelsOf(first.config)))
      throw new InputError(
        "TEACHER_LABELS",
        `its labels [${labelsOf(other.config)}] are not those of ${first.name}, [${labelsOf(first.config)}].`,
        {
          where: other.name,
        },
      );
    checkVocabulary(first, other);
  }
  return teachers;
}

/** The same token ids mean the same to both. */
function sameVocabulary(a: Model, b: Model): boolean {
  const same = (name: string) =>
    a.tokenizer.files.has(name) && a.tokenizer.files.get(name) === b.tokenizer.files.get(name);
  return same("tokenizer.json") || same("vocab.txt");
}

function checkVocabulary(a: Model, b: Model, why = "both must read the same token ids"): void {
  if (sameVocabulary(a, b)) return;
  throw new InputError("VOCABULARIES", `its vocabulary differs from that of ${a.name}; ${why}.`, { where: b.name });
}

/** Why models of these stages must have one vocabulary; undefined where logits are all that is compared. */
function tokenByToken(stages: readonly RunStage[]): string | undefined {
  const terms = stages.flatMap(({ stage }) =>
    Object.entries(stage.terms).flatMap(([name, { loss, of }]) =>
      of === undefined || of === "logits" || loss === "labels" ? [] : [`"${name}"`],
    ),
  );
  if (terms.length === 0) return undefined;
  const compare = `${terms.join(", ")} compare${terms.length > 1 ? "" : "s"} the models token by token`;
  return `${compare}, so both must read the same token ids; take models of one vocabulary, or a recipe that compares logits alone, such as kd`;
}

/** A teacher that reads other token ids than its student can tell it logits, and nothing of a token. */
function checkForeign(student: Model, [teacher, ...others]: readonly Model[], asked: readonly RunStage[]): void {
  const text = asked.find(({ stage }) => stage.data === "text");
  const why =
    tokenByToken(asked) ??
    (others.length > 0 ? "of an ensemble all must read the same token ids" : undefined) ??
    (text && `stage "${text.name}" on plain text needs a --text-teacher of the student's vocabulary`);
  if (why !== undefined) checkVocabulary(teacher, student, why);
}

interface StudentFor {
  readonly teacher: Model | undefined;
  readonly labels: Labels;
  readonly pair: boolean;
  readonly tasks: Heads;
}

async function makeStudent(
  runtime: Runtime,
  options: DistillOptions,
  { teacher, labels, pair, tasks }: StudentFor,
): Promise<Model> {
  const seed = options.seed ?? TRAINING.seed;
  const load = async (source: FolderSource | Model) =>
    isModel(source)
      ? does("classification", { tasks })
        ? requireLabels(source, labels, "the teacher")
        : source
      : loadModel(openFolder(runtime, source), { labels, tasks, freshMaskedLm: true, seed });
  if (typeof options.student !== "string") {
    const model = await load(options.student);
    return model;
  }
  const spec = parseStudent(options.student);
  const cut = spec.kind === "layers" || spec.kind === "slice";
  const file = spec.kind === "path" && spec.path.endsWith(".json") ? spec.path : undefined;
  const fresh = spec.kind === "fresh" || file !== undefined;
  if (options.initFrom !== undefined && !cut && !(fresh && !teacher))
    throw new InputError(
      "INIT_FROM",
      `only a student of layers:… or slice:… is cut out of another model, not "${options.student}".`,
      {
        where: "--init-from",
      },
    );
  if (options.embeddings !== undefined && spec.kind !== "fresh")
    throw new InputError("EMBEDDINGS", `only a fresh student begins with word vectors, not "${options.student}".`, {
      where: "--embeddings",
    });
  if (spec.kind === "path" && file === undefined) {
    const model = await load(spec.path);
    return model;
  }
  const source = options.initFrom === undefined ? teacher : await load(options.initFrom);
  if (!source)
    throw new InputError(
      "INIT_FROM",
      `there is no teacher that "${options.student}" could have its ${fresh ? "vocabulary" : "layers"} from; name a model that has it with --init-from.`,
      { where: "--student" },
    );
  if (cut) {
    const notes = source === teacher ? [] : source.notes;
    const name = `${options.student} of ${baseName(source.name)}`;
    const student = { ...source, ...cutStudent(spec, source), name, notes };
    // Of another family, it lacks the classifier.
    const adopted = spec.kind === "layers" && spec.type !== undefined;
    return adopted ? forTasks(student, tasks ?? ["classification"], seed) : student;
  }
  if (spec.kind === "fresh") {
    const vectors = options.embeddings === undefined ? undefined : await openFile(runtime, options.embeddings);
    const given = vectors && embeddingTable(vectors, source.tokenizer, source.config.vocab_size, seed);
    const body = freshStudent(spec, { like: source, pair, seed, vectors: given?.vectors });
    return { ...source, ...body, name: options.student, notes: given ? [given.note] : [] };
  }
  const text = new TextDecoder().decode((await openFile(runtime, spec.path)).bytes);
  const config = withLabels(parseConfig(text, spec.path), labels);
  if (config.vocab_size !== source.config.vocab_size)
    throw new InputError(
      "VOCABULARY_SIZE",
      `vocab_size is ${config.vocab_size}, the vocabulary of ${source.name} has ${source.config.vocab_size}; write that.`,
      { where: spec.path },
    );
  return { ...source, config, weights: freshWeights(config, seed), name: spec.path, notes: [] };
}
