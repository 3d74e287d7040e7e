// Distillation: teachers and text become a small student. Between them may stand assistants: the teachers teach the first, that one the next,
// the last one the student (Mirzadeh et al. 2020, arXiv:1902.03393). Every link is a run of its own, with the recipe and the numbers of all. `auto` is MiniLM's rule (Wang et al. 2020,
// arXiv:2002.10957, section 3.4): a student of at most half the teacher's N layers and half its width d has an assistant of N layers and the
// student's width d'.

import { InputError } from "../errors.ts";
import type { Files } from "../formats/files.ts";
import { isObject, parseJson } from "../formats/json.ts";
import { familyOf } from "../models/index.ts";
import { readsVocabulary } from "../recipes/vocabulary.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { sha256 } from "../sha256.ts";
import { type DistillOptions, distillSetup } from "./distill.ts";
import { identityOf, modelIdentity } from "./identity.ts";
import { loadModel, type Model } from "./model.ts";
import type { TrainingEvent } from "./run.ts";
import { resumes } from "./runFolder.ts";
import { openFolder } from "./session.ts";
import { freshStudent } from "./student.ts";
import { withCopies } from "./substitutes.ts";
import { beginning, type Setup, type TrainingResult, type TrainingRun, train } from "./train.ts";

interface Link {
  /** Its teachers are untrained but in the first. */
  readonly setup: Setup;
  /** "assistant 1", …; undefined for the student. */
  readonly name?: string;
  /** Where an assistant is kept, when the student goes to a folder by name. */
  readonly files?: Files;
  readonly fingerprint: string;
}

/** Every link is checked before one is trained. */
export async function* distill(runtime: Runtime, options: DistillOptions): TrainingRun {
  yield* beginning(runtime, options);
  // As if there were no assistants: how large the student is, and whether it can be made.
  const whole = await distillSetup(runtime, options);
  const given = options.assistant ?? whole.recipe.assistants;
  if (given === undefined) return yield* train(runtime, yield* withCopies(runtime, whole, options), options);
  if (whole.stages.some(({ stage }) => readsVocabulary(stage)))
    throw new InputError(
      "ASSISTANT",
      `recipe "${whole.recipe.name}" reads a masked-LM head, which an assistant does not hand on; distil in two runs.`,
      { where: "--assistant" },
    );
  const { links, notes } = await linksOf(runtime, options, whole, typeof given === "string" ? [given] : given);
  const finished = new Map<Link, Model>();
  for (const link of links) {
    const model = await finishedModel(link, (options.overwrite || resumes(options)) ?? false);
    if (!model) break;
    finished.set(link, model);
  }
  for (const text of notes) yield { type: "note", text };
  const { data } = yield* withCopies(runtime, whole, options);

  const judged: TrainingResult["judged"][number][] = [];
  let teacher: Model | undefined;
  for (const [i, link] of links.entries()) {
    const found = finished.get(link);
    if (found) {
      const text = `${link.name} lies finished in ${link.files?.folder}: not trained again`;
      notes.push(text);
      yield { type: "note", text };
      teacher = found;
      continue;
    }
    const setup: Setup = {
      ...link.setup,
      data,
      ...(teacher ? { teachers: [teacher] } : {}),
      fingerprint: link.fingerprint,
    };
    const to = link.name === undefined ? {} : { out: link.files, overwrite: true };
    const result = yield* named(train(runtime, setup, { ...options, ...to }), link.name);
    const teachers = result.judged.slice(0, -1);
    judged.push(...(i === 0 ? teachers : teachers.map((row) => ({ ...row, role: links[i - 1].name ?? row.role }))));
    notes.push(...result.notes);
    if (link.name === undefined || !result.complete)
      return { ...result, notes, judged: [...judged, ...result.judged.slice(-1)] };
    teacher = { ...result.model, name: link.setup.student.name };
  }
  throw new Error("a chain ends in a student");
}

async function linksOf(runtime: Runtime, options: DistillOptions, whole: Setup, given: readonly string[]) {
  const notes: string[] = [];
  const assistants = given.flatMap((spec): (string | Model)[] => {
    if (spec !== "auto") return [spec];
    const model = assistantByRule(whole);
    if (!model) notes.push(`no assistant: ${whyNone(whole)}`);
    return model ? [model] : [];
  });
  const links: Link[] = [];
  let fingerprint = await modelsPrint(whole.teachers);
  let teacher: Model | readonly Model[] = whole.teachers;
  const { textTeacher, initFrom, embeddings, ...shared } = options;
  for (const [i, student] of [...assistants, whole.student].entries()) {
    const augmentationModel = whole.substitutes?.model;
    const own = { ...shared, augmentationModel, ...(i === 0 ? { textTeacher } : {}) };
    const setup: Setup = await distillSetup(runtime, { ...own, teacher, student });
    fingerprint = await sha256(`${fingerprint} ${JSON.stringify(await identityOf(setup, options))}`);
    const assistant = i < assistants.length;
    const name = assistant ? `assistant ${i + 1}` : undefined;
    const folder = typeof options.out === "string" ? options.out.replace(/[\\/]+$/, "") : undefined;
    const files = assistant && folder !== undefined ? openFolder(runtime, `${folder}-assistant-${i + 1}`) : undefined;
    links.push({ setup, name, files, fingerprint });
    teacher = setup.student;
  }
  return { links, notes };
}

const sizesOf = ({ teachers, student }: Setup) =>
  [teachers[0], student].map(({ config }) => familyOf(config).size(config));

function assistantByRule(whole: Setup): Model | undefined {
  const [teacher, student] = sizesOf(whole);
  if (2 * student.layers > teacher.layers || 2 * student.width > teacher.width) return undefined;
  const size = { ...student, layers: teacher.layers };
  const spec = { kind: "fresh", type: whole.student.config.model_type, size } as const;
  const seed = whole.stages[whole.stages.length - 1].options.seed;
  const body = freshStudent(spec, { like: whole.teachers[0], pair: whole.data.train.pair, seed });
  return { ...whole.teachers[0], ...body, name: `${spec.type}:${size.layers}x${size.width}`, notes: [] };
}

function whyNone(whole: Setup): string {
  const [teacher, student] = sizesOf(whole).map(({ layers, width }) => `${layers}×${width}`);
  return `MiniLM's rule is for students of at most half the teacher's layers and width, and this one is ${student} of ${teacher}; name one with --assistant`;
}

/** The assistant of an earlier run with the same beginning. One of another run is not replaced unasked. */
async function finishedModel({ files, fingerprint, setup }: Link, begun: boolean): Promise<Model | undefined> {
  if (!files || !(await files.exists())) return undefined;
  const size = await files.size("limbeck.json");
  const record = size === undefined ? undefined : await files.read("limbeck.json");
  const json = record && parseJson(new TextDecoder().decode(record), { where: `${files.folder}/limbeck.json` });
  const same = isObject(json) && json.fingerprint === fingerprint;
  if (same && json.complete === true) return loadModel(files, { tasks: setup.student.config.tasks });
  if (same || begun) return undefined;
  throw new InputError(
    "ASSISTANT_EXISTS",
    "this folder exists already and is not the assistant of this run; name another --out, allow --overwrite, or --resume the run in it.",
    { where: files.folder },
  );
}

async function* named(run: TrainingRun, name: string | undefined): TrainingRun {
  try {
    for (;;) {
      const next = await run.next();
      if (next.done) return next.value;
      yield name === undefined ? next.value : ofLink(next.value, name);
    }
  } finally {
    // Left early, the run gives back its device and its folder.
    await run.return(undefined as never);
  }
}

function ofLink(event: TrainingEvent, name: string): TrainingEvent {
  if (event.type === "note") return { ...event, text: `${name}: ${event.text}` };
  if (event.type === "checkpoint") return event;
  return { ...event, stage: event.stage === undefined ? name : `${name}, ${event.stage}` };
}

async function modelsPrint(models: readonly Model[]): Promise<string> {
  return sha256(JSON.stringify(await Promise.all(models.map(modelIdentity))));
}
