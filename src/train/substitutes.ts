// TinyBERT's copies of the task's texts (data/augmentation/substitutes.ts): a model with a masked-LM head is asked once for every word, before the
// training, in batches of words of similar texts, and gives logits at the masked places alone. Under WASM the copies are the same on every engine.

import {
  type Candidates,
  largest,
  lengthsOf,
  maskSlot,
  nearest,
  type Slot,
  type Slots,
  Substituter,
  slotsOf,
  type Vectors,
  wordTokens,
} from "../data/augmentation/substitutes.ts";
import { makeBatch } from "../data/batch.ts";
import type { Dataset } from "../data/dataset.ts";
import { type Example, Examples } from "../data/examples.ts";
import { InputError } from "../errors.ts";
import { formatCount } from "../formats/files.ts";
import { parseWordVectors } from "../formats/vectors.ts";
import type { BatchShape } from "../models/features.ts";
import { familyOf } from "../models/index.ts";
import { type Recipe, type Substitution, substitutes } from "../recipes/recipe.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { sha256 } from "../sha256.ts";
import { breather } from "./breather.ts";
import type { DistillOptions } from "./distill.ts";
import { BATCH, inBatches } from "./evaluate.ts";
import { loadModel, type Model } from "./model.ts";
import { flag } from "./options.ts";
import { maskedLogitsProgram, type Placed } from "./programs.ts";
import { LastingDevice, LastingPredictor } from "./recovery.ts";
import type { TrainingEvent } from "./run.ts";
import { baseName, openDevice, openFile, openFolder } from "./session.ts";
import { type CommonOptions, maxLengthOf, type Setup } from "./train.ts";
import { shapeOf } from "./trainer.ts";

/** What copies are made with. */
export interface Substitutes {
  readonly model: Model;
  readonly augmentation: Substitution;
  readonly seed: number;
  /** Of words of several pieces, and the file that they are from. */
  readonly vectors: Vectors;
  readonly file?: { readonly name: string; readonly sha256: string };
}

/** The recipe as it can be followed: without its copies by a masked-LM where none is named. */
export async function substitutesFor(
  runtime: Runtime,
  recipe: Recipe,
  options: DistillOptions,
  seed: number,
): Promise<{ readonly recipe: Recipe; readonly made?: Substitutes; readonly notes: readonly string[] }> {
  const { augmentation, ...without } = recipe;
  const { augmentationModel: source, augmentationVectors, allowNonfinite } = options;
  const given = (names: readonly (keyof DistillOptions)[]) => names.find((name) => options[name] !== undefined);
  if (!augmentation || !substitutes(augmentation)) {
    const idle = given(["augmentationModel", "augmentationVectors"]);
    if (idle === undefined) return { recipe, notes: [] };
    throw new InputError("RECIPE_OPTION", `recipe "${recipe.name}" asks no masked-LM for other words.`, {
      where: flag(idle),
    });
  }
  if (options.nIter === 0) return { recipe: without, notes: [] };
  if (source === undefined) {
    const asked = given(["augmentationVectors", "nIter", "pReplace", "candidates"]);
    if (asked === undefined)
      return { recipe: without, notes: [`${recipe.name}: no copies of the texts; --augmentation-model makes them`] };
    throw new InputError(
      "NO_AUGMENTATION_MODEL",
      "copies of the texts need a model with a masked-LM head: name its folder with --augmentation-model (limbeck pretrain makes one).",
      { where: flag(asked) },
    );
  }
  const model =
    "weights" in Object(source)
      ? (source as Model)
      : await loadModel(openFolder(runtime, source as Exclude<typeof source, Model>), {
          ...{ tasks: ["maskedLm"], allowNonfinite },
        });
  if (model.tokenizer.maskId === undefined)
    throw new InputError("NO_MASK_TOKEN", "masked-LM needs a mask_token, and this tokenizer has none.", {
      where: model.name,
    });
  const file = augmentationVectors === undefined ? undefined : await openFile(runtime, augmentationVectors);
  const vectors = file ? vectorsOfFile(file.bytes, file.name) : vectorsOfModel(model);
  const print = file && { name: baseName(file.name), sha256: await sha256(file.bytes) };
  return { recipe, made: { model, augmentation, seed, vectors, file: print }, notes: [] };
}

/** The table of word embeddings; a word of several pieces has the mean of theirs. */
function vectorsOfModel({ config, weights, tokenizer }: Model): Vectors {
  const table = weights.get(familyOf(config).words);
  if (!table) throw new Error(`${familyOf(config).words} is a parameter of every ${config.model_type}`);
  const lengths = lengthsOf(table.data, table.shape[1]);
  return { words: wordTokens(tokenizer), table: table.data, lengths, rowsOf: ({ pieces }) => pieces };
}

/** Words of a file that are looked at: the first ones are the most frequent. */
const MOST_WORDS = 100_000;

function vectorsOfFile(bytes: Uint8Array, file: string): Vectors {
  let lines = 0;
  const { width, vectors } = parseWordVectors(bytes, file, () => lines++ < MOST_WORDS);
  const words = [...vectors.keys()];
  const table = new Float32Array(words.length * width);
  for (const [row, word] of words.entries()) table.set(vectors.get(word) as Float32Array, row * width);
  const rows = new Map(words.map((word, row) => [word, row]));
  return {
    words,
    table,
    lengths: lengthsOf(table, width),
    rowsOf: ({ word }) => [rows.get(word.toLowerCase()) ?? []].flat(),
  };
}

/** Copies that augmentation makes of one row at most. */
export function copiesOfRow({ substitutes: given, data }: Setup): number {
  if (!given) return 0;
  return data.train.pair ? 2 * given.augmentation.pairNIter : given.augmentation.nIter;
}

/** Rows whose words are sorted into batches together, and after how many of these it is told how far it came. */
const ROWS = 256;
const TELL = 16;

/** The setup with the copies among its rows. A signal ends it early: the run then stops in its first step anyway. */
export async function* withCopies(
  runtime: Runtime,
  setup: Setup,
  common: CommonOptions,
): AsyncGenerator<TrainingEvent, Setup> {
  const { substitutes: given, data } = setup;
  if (!given) return setup;
  const { model, augmentation, seed } = given;
  const { examples, file, pair } = data.train;
  const positions = model.config.max_position_embeddings;
  // A text twice, as long as the training reads it.
  const maxLength = Math.min(positions, 2 * maxLengthOf(setup, common) - 1);
  const placed: Placed = { owner: "augmentation", config: model.config };
  const programs = () => [maskedLogitsProgram(placed, largestShape(given, examples, maxLength))];
  const device = new LastingDevice(await openDevice(runtime, common, programs), () =>
    openDevice(runtime, { ...common, device: "wasm" }, programs),
  );
  const made: Example[] = [];
  try {
    await device.place(placed.owner, model.weights);
    const source = new Source(given, new LastingPredictor(device, placed), maxLength);
    const iterations = pair ? augmentation.pairNIter : augmentation.nIter;
    const substituter = new Substituter({ pReplace: augmentation.pReplace, iterations, seed }, examples);
    yield {
      type: "note",
      text: `${file}: ${model.name} is asked for other words of ${formatCount(examples.length)} rows`,
    };
    for (let first = 0; first < examples.length && !common.signal?.aborted; first += ROWS) {
      const rows = [...examples.slice(first, first + ROWS)];
      const candidates = await source.candidates(new Set(rows.flatMap(({ text, pair }) => [text, pair ?? []].flat())));
      for (const example of rows)
        made.push(...substituter.next(example, (text) => candidates.get(text) as readonly Candidates[]));
      if ((first / ROWS) % TELL === TELL - 1)
        yield {
          type: "note",
          text: `${file}: ${formatCount(first + rows.length)} rows done, ${formatCount(made.length)} copies`,
        };
    }
    for (const text of device.notes()) yield { type: "note", text };
  } finally {
    device.dispose();
  }
  const note = `${file}: ${made.length} texts were made of its ${examples.length}; they have no labels`;
  const train: Dataset = { ...data.train, examples: examples.concat(Examples.of(made)) };
  return { ...setup, data: { ...data, train, notes: [...data.notes, note] } };
}

/** Of the longest text, as often as a batch has texts. */
function largestShape({ model }: Substitutes, examples: Examples, maxLength: number): BatchShape {
  let [ids, segments]: number[][] = [[], []];
  for (const { text, pair } of examples)
    for (const one of [text, pair ?? []].flat()) {
      const encoding = model.tokenizer.encode(one, one, maxLength);
      if (encoding.ids.length > ids.length) ({ ids, segments } = encoding);
    }
  return shapeOf(makeBatch(Array(BATCH).fill({ ids, segments }), { size: BATCH, maskedMost: BATCH }));
}

/** Candidates of texts. */
class Source {
  readonly #words: readonly (string | undefined)[];
  /** Nearest words, by word. */
  readonly #near = new Map<string, readonly string[]>();
  readonly #breathe = breather();

  constructor(
    readonly given: Substitutes,
    readonly predictor: LastingPredictor,
    readonly maxLength: number,
  ) {
    this.#words = wordTokens(given.model.tokenizer);
  }

  async candidates(texts: ReadonlySet<string>): Promise<Map<string, Candidates[]>> {
    const { model, augmentation } = this.given;
    const { tokenizer, config } = model;
    const found = new Map<string, { in: Slots; slot: Slot; candidates: readonly string[] }[]>();
    for (const text of texts) {
      const all = slotsOf(text, tokenizer, this.maxLength);
      found.set(
        text,
        all.slots.map((slot) => ({ in: all, slot, candidates: slot.pieces.length > 1 ? this.#nearest(slot) : [] })),
      );
    }
    const asked = [...found.values()].flat().filter(({ slot }) => slot.pieces.length === 1);
    asked.sort((a, b) => a.in.ids.length - b.in.ids.length);
    await inBatches(this.predictor, asked.length, async (start, size) => {
      const some = asked.slice(start, start + size);
      const masked = some.map((one) => maskSlot(one.in, one.slot, tokenizer.maskId as number));
      const logits = await this.predictor.maskedLogits(makeBatch(masked, { size, maskedMost: size }));
      for (const [i, one] of some.entries()) {
        const own = logits.subarray(i * config.vocab_size, (i + 1) * config.vocab_size);
        one.candidates = largest(own, this.#words, augmentation.candidates);
      }
      await this.#breathe();
    });
    return new Map(
      [...found].map(([text, all]) => [
        text,
        all.map(({ slot: { start, word }, candidates }) => ({ start, word, candidates })),
      ]),
    );
  }

  #nearest(slot: Slot): readonly string[] {
    const known = this.#near.get(slot.word) ?? nearest(this.given.vectors, slot, this.given.augmentation.candidates);
    this.#near.set(slot.word, known);
    return known;
  }
}
