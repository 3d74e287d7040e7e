// What a distillation is made of: teachers, a student, a recipe and text, loaded and checked. chain.ts runs it.

import type { Dataset } from "../data/dataset.ts";
import type { SoftForm } from "../data/softLabels.ts";
import { InputError } from "../errors.ts";
import { decodeUtf8 } from "../formats/files.ts";
import { parseConfig } from "../models/index.ts";
import { type RecipeChoices, withChoices } from "../recipes/choices.ts";
import { parseRecipe } from "../recipes/file.ts";
import { recipeNamed } from "../recipes/index.ts";
import { IDLE, type Recipe } from "../recipes/recipe.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { augmented } from "./augmented.ts";
import { CacheFolder, type Precision } from "./cacheFolder.ts";
import { embeddingTable } from "./embeddings.ts";
import { freshWeights, type Labels, labelsOf, loadModel, type Model, requireLabels, withLabels } from "./model.ts";
import { checkNumbers, TRAINING } from "./options.ts";
import { baseName, type DataSource, type FolderSource, openFile, openFolder } from "./session.ts";
import { layerByLayer, stagesOf } from "./stages.ts";
import { cutStudent, freshStudent, parseStudent } from "./student.ts";
import { type CommonOptions, checkStages, labelsOfData, readData, type Setup } from "./train.ts";

export interface DistillOptions extends CommonOptions, RecipeChoices {
  /** One teacher, or several for an ensemble: folders, or models in memory. None where the data bring soft labels (`data.softLabels`). */
  readonly teacher?: FolderSource | Model | readonly (FolderSource | Model)[];
  /**
   * `layers:K`, `layers:0,2,4`, `slice:LxD[xHxF]`, `bert:LxD[xHxF]`, `distilbert:…` likewise, `mobilebert:LxDxT[xHxFxN]`, `ibbert:…` likewise,
   * a folder, a config.json, or a model in memory.
   */
  readonly student: FolderSource | Model;
  /**
   * What `layers:…` and `slice:…` are cut out of instead of the teacher: the un-tuned base, as PKD did. Without a teacher also what a fresh
   * student has its vocabulary from.
   */
  readonly initFrom?: FolderSource | Model;
  /** Word vectors in the text format of GloVe or word2vec, for a student that begins with such: a file, in place of the teacher's. */
  readonly embeddings?: DataSource;
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
  const recipe = withChoices(await resolveRecipe(runtime, options.recipe ?? "kd"), options);
  const { stages, notes } = stagesOf(recipe, options);
  const soft = options.data?.softLabels;
  const teachers = await loadTeachers(runtime, options);
  const [teacher] = teachers as [Model | undefined];
  const read = await readData(runtime, options, teacher && labelsOf(teacher.config));
  const labels = teacher ? labelsOf(teacher.config) : labelsOfData(read.train);
  const argmax = options.targets === "argmax";
  if (argmax && labels === null)
    throw new InputError("TARGETS", "argmax needs classes, and this teacher gives a score.", { where: "--targets" });
  if (read.train.softForm) checkSoftLabels(recipe, options, read.train.softForm, read.train);
  const data = await augmented(read, recipe, options.seed ?? TRAINING.seed);
  const student = await makeStudent(runtime, options, { teacher, labels, pair: data.train.pair });
  const hyper = { ...IDLE, ...recipe.hyper };
  const textTeacher = await loadTextTeacher(runtime, options, teacher ?? student);
  const names = teachers.map(({ name }) => name);
  const taughtBy = soft ? `soft labels (${soft.columns.join(", ")})` : names.map(baseName).join(", ");
  const setup: Setup = {
    command: "distill",
    summary: `${baseName(student.name)} distilled from ${taughtBy} by ${recipe.name} on ${baseName(data.train.file)}`,
    ...{ student, teachers, textTeacher, recipe, hyper, stages: layerByLayer(stages, student.config) },
    data: { ...data, notes: [...notes, ...data.notes] },
    ...{ argmaxTargets: argmax, softLabels: soft !== undefined, cache: cacheOf(runtime, options) },
    resolved: {
      ...{ teacher: names, student: student.name, recipe: recipe.name, ...recipe.hyper },
      ...{ textTeacher: textTeacher?.name, targets: options.targets ?? "labels" },
      ...(options.cache === undefined ? {} : { cachePrecision: options.cachePrecision ?? CACHE.precision }),
      ...(soft ? { softLabels: { columns: soft.columns, form: read.train.softForm } } : {}),
    },
  };
  checkStages(setup);
  return setup;
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

/** It needs no classifier: what it is asked for are states. */
async function loadTextTeacher(runtime: Runtime, options: DistillOptions, teacher: Model): Promise<Model | undefined> {
  const { textTeacher: source, allowNonfinite } = options;
  if (source === undefined) return undefined;
  const labels = labelsOf(teacher.config);
  const found = isModel(source) ? source : await loadModel(openFolder(runtime, source), { labels, allowNonfinite });
  checkVocabulary(teacher, found);
  return found;
}

/** A recipe by name, from a file, or as it is. */
async function resolveRecipe(runtime: Runtime, recipe: string | Recipe): Promise<Recipe> {
  if (typeof recipe !== "string") return parseRecipe(JSON.stringify(recipe), "recipe");
  if (!recipe.endsWith(".json")) return recipeNamed(recipe);
  return parseRecipe(decodeUtf8(await runtime.readFile(recipe), recipe, "NOT_UTF8"), recipe);
}

async function loadTeachers(runtime: Runtime, options: DistillOptions): Promise<Model[]> {
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
        : await loadModel(openFolder(runtime, source), { allowNonfinite: options.allowNonfinite }),
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

/** Teacher and student read the same token ids, so they need one vocabulary. */
function checkVocabulary(a: Model, b: Model): void {
  if (a.tokenizer.files.get("tokenizer.json") === b.tokenizer.files.get("tokenizer.json")) return;
  if (a.tokenizer.files.get("vocab.txt") === b.tokenizer.files.get("vocab.txt")) return;
  throw new InputError(
    "VOCABULARIES",
    `its vocabulary differs from that of ${a.name}; both must read the same token ids.`,
    {
      where: b.name,
    },
  );
}

interface StudentFor {
  readonly teacher: Model | undefined;
  readonly labels: Labels;
  readonly pair: boolean;
}

async function makeStudent(
  runtime: Runtime,
  options: DistillOptions,
  { teacher, labels, pair }: StudentFor,
): Promise<Model> {
  const seed = options.seed ?? TRAINING.seed;
  const load = async (source: FolderSource | Model) =>
    isModel(source)
      ? requireLabels(source, labels, "the teacher")
      : loadModel(openFolder(runtime, source), { labels, seed });
  if (typeof options.student !== "string") {
    const model = await load(options.student);
    if (teacher) checkVocabulary(teacher, model);
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
    if (teacher) checkVocabulary(teacher, model);
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
    if (teacher) checkVocabulary(teacher, source);
    const notes = source === teacher ? [] : source.notes;
    const name = `${options.student} of ${baseName(source.name)}`;
    return { ...source, ...cutStudent(spec, source), name, notes };
  }
  if (spec.kind === "fresh") {
    const vectors = options.embeddings === undefined ? undefined : await openFile(runtime, options.embeddings);
    const given = vectors && embeddingTable(vectors, source.tokenizer, source.config.vocab_size, seed);
    const body = freshStudent(spec, { like: source, pair, seed, vectors: given?.vectors });
    return { ...source, ...body, name: options.student, notes: given ? [given.note] : [] };
  }
  const text = new TextDecoder().decode(await runtime.readFile(spec.path));
  const config = withLabels(parseConfig(text, spec.path), labels);
  if (config.vocab_size !== source.config.vocab_size)
    throw new InputError(
      "VOCABULARY_SIZE",
      `vocab_size is ${config.vocab_size}, the vocabulary of ${source.name} has ${source.config.vocab_size}; write that.`,
      { where: spec.path },
    );
  return { ...source, config, weights: freshWeights(config, seed), name: spec.path, notes: [] };
}
