// A Hugging Face model folder, in and out: config.json, model.safetensors, the tokenizer's files. Only a fixed list of
// basenames is opened; a name found inside a file is opened only when it is a plain shard name of this folder.
import { InputError, LimbeckError } from "../errors.ts";
import { type CommonConfig, type ConfigSchema, parseConfigOf, serializeConfigOf } from "./config.ts";
import { type Content, checkBasename, type Files, quote, readText, toBytes } from "./files.ts";
import { isObject, parseJson } from "./json.ts";
import { repositoryOf } from "./remote.ts";
import {
  firstNonfinite,
  parseSafetensors,
  type RawTensor,
  safetensorsChunks,
  type Tensor,
  toFloat32,
} from "./safetensors.ts";
import { portableTokenizerFiles, TOKENIZER_FILES } from "./tokenizerFiles.ts";

/** How a family of models is kept in a folder. */
export interface FolderFormat<C extends CommonConfig> extends ConfigSchema<C> {
  /** transformers' tokenizer class. */
  readonly tokenizer: string;
  /** The body's tensors begin with this; a checkpoint of the body alone leaves it out. */
  readonly prefix: string;
  /** What the body's tensors begin with behind the prefix. */
  readonly parts: readonly string[];
  /** What the tensors of other tasks' heads begin with; they are left aside. */
  readonly aside: readonly string[];
}

export interface ModelFolder<C extends CommonConfig> {
  config: C;
  /** By canonical name: `bert.…`, `classifier.…`. */
  tensors: Map<string, Tensor>;
  /** What the folder has of TOKENIZER_FILES, as text. */
  tokenizerFiles: Map<string, string>;
  /** What the user should hear: conversions, parts left aside. */
  notes: string[];
}

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const OTHER_WEIGHTS = ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"];

/** `formats` by model_type. */
export async function readModelFolder<C extends CommonConfig>(
  files: Files,
  formats: ReadonlyMap<string, FolderFormat<C>>,
  options: { allowNonfinite?: boolean; maskedLm?: boolean } = {},
): Promise<ModelFolder<C>> {
  const { folder } = files;
  if (!(await files.exists())) {
    throw new InputError("FOLDER_NOT_FOUND", "there is no such folder; expected a Hugging Face model folder.", {
      where: folder,
    });
  }
  if ((await files.size("config.json")) === undefined) {
    throw new InputError("NO_CONFIG", "expected config.json beside the weights, found none.", { where: folder });
  }
  const configText = await readText(files, "config.json");
  const { config, schema } = parseConfigOf<C, FolderFormat<C>>(configText, `${folder}/config.json`, formats);
  const raw = await readWeights(files, configText);
  const maskedLm = options.maskedLm ? schema.maskedLm : undefined;
  const { named, notes } = canonicalNames(raw, schema, folder, maskedLm?.parts);

  const tensors = new Map<string, Tensor>();
  const converted = new Map<string, number>();
  for (const [name, tensor] of named) {
    const where = `${folder}, tensor ${quote(name)}`;
    const data = toFloat32(tensor, where);
    if (tensor.dtype !== "F32") converted.set(tensor.dtype, (converted.get(tensor.dtype) ?? 0) + 1);
    const bad = options.allowNonfinite ? -1 : firstNonfinite(data);
    if (bad >= 0) {
      throw new InputError(
        "NONFINITE_WEIGHTS",
        `element ${bad} of ${data.length} is ${data[bad]}: the weights are damaged; use an earlier checkpoint, or --allow-nonfinite.`,
        { where },
      );
    }
    tensors.set(name, { shape: tensor.shape, data });
  }
  for (const [name, other] of Object.entries(maskedLm?.tied ?? {})) tie(tensors, name, other, folder);
  for (const [dtype, count] of converted) notes.push(`${count} tensors were converted from ${dtype} to F32.`);

  const tokenizerFiles = new Map<string, string>();
  for (const name of TOKENIZER_FILES) {
    if ((await files.size(name)) !== undefined) tokenizerFiles.set(name, await readText(files, name));
  }
  return { config, tensors, tokenizerFiles, notes: [...(files.notes?.() ?? []), ...notes] };
}

async function readWeights(files: Files, configText: string): Promise<Map<string, RawTensor>> {
  const { folder } = files;
  if ((await files.size(WEIGHTS)) !== undefined) {
    return parseSafetensors(await files.read(WEIGHTS), `${folder}/${WEIGHTS}`).tensors;
  }
  if ((await files.size(INDEX)) !== undefined) return readShards(files);

  for (const name of OTHER_WEIGHTS) {
    if ((await files.size(name)) === undefined) continue;
    // The class that saved the weights keeps their head; AutoModel would drop it.
    const architecture =
      /"architectures"\s*:\s*\[\s*"([A-Za-z]{0,20}Bert[A-Za-z]{1,60})"/.exec(configText)?.[1] ?? "AutoModel";
    const source = name === "tf_model.h5" ? ", from_tf=True" : name === "flax_model.msgpack" ? ", from_flax=True" : "";
    const convert = (from: string, to: string) =>
      `${architecture}.from_pretrained('${from}'${source}).save_pretrained('${to}', safe_serialization=True)`;
    const repository = repositoryOf(folder);
    const line = repository
      ? `python -c "from transformers import AutoTokenizer, ${architecture}; ${convert(repository, "converted")}; AutoTokenizer.from_pretrained('${repository}').save_pretrained('converted')", then name the folder "converted"`
      : `python -c "from transformers import ${architecture}; ${convert(".", ".")}"`;
    throw new InputError(
      "NO_SAFETENSORS",
      `found ${name} but no ${WEIGHTS}, and limbeck does not run pickles. Convert once${repository ? "" : ", in that folder"}: ${line}`,
      { where: folder },
    );
  }
  throw new InputError("NO_WEIGHTS", `expected ${WEIGHTS}, found none; was the download complete?`, { where: folder });
}

/** { weight_map: { tensor: shard } }; the map and the shards must agree in both directions. */
async function readShards(files: Files): Promise<Map<string, RawTensor>> {
  const where = `${files.folder}/${INDEX}`;
  const index = parseJson(await readText(files, INDEX), { where });
  const map = isObject(index) ? index.weight_map : undefined;
  if (!isObject(map)) {
    throw new InputError("INVALID_INDEX", "expected weight_map, an object from tensor to file.", { where });
  }
  const shards = new Set<string>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== "string" || !shard.endsWith(".safetensors")) {
      throw new InputError(
        "INVALID_INDEX",
        `weight_map sends ${quote(name)} to ${quote(shard)}; expected the name of a .safetensors file in this folder.`,
        { where },
      );
    }
    shards.add(checkBasename(shard, where));
  }
  const all = new Map<string, RawTensor>();
  for (const shard of [...shards].sort()) {
    if ((await files.size(shard)) === undefined) {
      throw new InputError("MISSING_SHARD", `the index names ${shard}, which is not there; fetch it as well.`, {
        where,
      });
    }
    const { tensors } = parseSafetensors(await files.read(shard), `${files.folder}/${shard}`);
    for (const [name, tensor] of tensors) {
      if (map[name] !== shard) {
        throw new InputError("INVALID_INDEX", `${shard} holds ${quote(name)}, which weight_map does not send there.`, {
          where,
        });
      }
      all.set(name, tensor);
    }
  }
  for (const [name, shard] of Object.entries(map)) {
    if (all.has(name)) continue;
    throw new InputError("INVALID_INDEX", `weight_map sends ${quote(name)} to ${shard}, which lacks it.`, { where });
  }
  return all;
}

function canonicalNames<C extends CommonConfig>(
  raw: ReadonlyMap<string, RawTensor>,
  { prefix, parts, aside: others }: FolderFormat<C>,
  folder: string,
  wanted: readonly string[] = [],
) {
  const named = new Map<string, RawTensor>();
  const origin = new Map<string, string>();
  const aside: string[] = [];
  for (const [name, tensor] of raw) {
    // Buffers that older versions saved: an arange and zeros.
    if (/(^|\.)embeddings\.(position_ids|token_type_ids)$/.test(name)) continue;
    const begins = (part: string) => name.startsWith(part);
    if (others.some(begins) && !wanted.some(begins)) {
      aside.push(name);
      continue;
    }
    const bare = parts.some((part) => name.startsWith(part));
    const canonical = `${bare ? prefix : ""}${name}`
      .replace(/LayerNorm\.gamma$/, "LayerNorm.weight")
      .replace(/LayerNorm\.beta$/, "LayerNorm.bias");
    const other = origin.get(canonical);
    if (other !== undefined) {
      throw new InputError(
        "AMBIGUOUS_TENSOR",
        `${quote(other)} and ${quote(name)} are two names of one tensor (${canonical}); remove one of them.`,
        { where: folder },
      );
    }
    origin.set(canonical, name);
    named.set(canonical, tensor);
  }
  const notes: string[] = [];
  if (aside.length > 0)
    notes.push(`the pre-training head (${asideNames(aside)}, ${aside.length} tensors) was left aside.`);
  return { named, notes };
}

/** One tensor under two names: the second is kept. */
function tie(tensors: Map<string, Tensor>, name: string, other: string, folder: string): void {
  const [repeated, tensor] = [tensors.get(name), tensors.get(other)];
  if (!repeated) return;
  if (tensor && (tensor.data.length !== repeated.data.length || tensor.data.some((x, i) => x !== repeated.data[i])))
    throw new InputError(
      "UNTIED_DECODER",
      `${quote(name)} and ${quote(other)} differ; limbeck has masked-LM heads that are tied to the word embeddings, as BERT's are.`,
      { where: folder },
    );
  tensors.set(other, tensor ?? repeated);
  tensors.delete(name);
}

/** cls.predictions.bias, cls.seq_relationship.bias → "cls.*" */
function asideNames(names: readonly string[]): string {
  return [...new Set(names.map((name) => `${name.slice(0, name.indexOf("."))}.*`))].join(", ");
}

export interface MatchOptions {
  /** Names that may be missing: the caller announces and initialises them. A half-present module is an error. */
  fresh?: (name: string) => boolean;
  /** Found tensors to leave out as if they were not there, such as the head of another task. */
  ignore?: (name: string) => boolean;
  /** The folder, for messages. */
  where?: string;
}

/** Pairs what a model expects with what a folder has; all that disagrees comes in one error. */
export function matchTensors(
  expected: readonly { name: string; shape: readonly number[] }[],
  found: ReadonlyMap<string, Tensor>,
  { fresh = () => false, ignore = () => false, where }: MatchOptions = {},
): { weights: Map<string, Tensor>; fresh: string[]; ignored: string[] } {
  const ignored = [...found.keys()].filter(ignore);
  const present = new Map([...found].filter(([name]) => !ignore(name)));
  const moduleOf = (name: string) => name.slice(0, name.lastIndexOf(".") + 1);
  const known = new Set(expected.map(({ name }) => name));
  const begun = new Set([...present.keys()].filter((name) => known.has(name)).map(moduleOf));

  const weights = new Map<string, Tensor>();
  const initialised: string[] = [];
  const missing: string[] = [];
  const misshaped: string[] = [];
  for (const { name, shape } of expected) {
    const tensor = present.get(name);
    if (!tensor) {
      // A weight without its bias is damage, not a fresh head.
      if (fresh(name) && !begun.has(moduleOf(name))) initialised.push(name);
      else missing.push(`${name} [${shape}]`);
    } else if (shape.length !== tensor.shape.length || shape.some((extent, axis) => extent !== tensor.shape[axis])) {
      misshaped.push(`${name}: the configuration says [${shape}], the weights have [${tensor.shape}]`);
    } else {
      weights.set(name, tensor);
    }
  }
  const unexpected = [...present].filter(([name]) => !known.has(name)).map(([name, { shape }]) => `${name} [${shape}]`);

  const lists = { missing, unexpected, misshaped };
  const parts = Object.entries(lists).filter(([, names]) => names.length > 0);
  if (parts.length > 0) {
    const text = parts.map(([kind, names]) => {
      const shown = names.slice(0, SHOWN).map((name) => `\n  ${name}`);
      const rest = names.length > SHOWN ? `\n  … and ${names.length - SHOWN} more` : "";
      return `\n${names.length} ${kind === "misshaped" ? "of another shape" : kind}:${shown.join("")}${rest}`;
    });
    throw new InputError(
      "WEIGHTS_MISMATCH",
      `the weights do not fit the configuration; take both from one model. Nothing was initialised in their place.${text.join("")}`,
      { where, cause: lists },
    );
  }
  return { weights, fresh: initialised, ignored };
}

/** Names shown of each list; the error's `cause` has them all. */
const SHOWN = 24;

export interface OutputModel<C extends CommonConfig> {
  config: C;
  format: FolderFormat<C>;
  weights: ReadonlyMap<string, Tensor>;
  /** All of TOKENIZER_FILES: what a loaded tokenizer hands on. */
  tokenizerFiles: ReadonlyMap<string, string>;
  /** The model card. */
  readme: string;
  /** More files by basename: metrics.jsonl, limbeck.json. */
  extra?: ReadonlyMap<string, string>;
}

/**
 * Writes the model into a folder, which may have others in it; it is made if there is none. Only with config.json is it a model to any
 * reader, so that is absent until all else is whole; the extra files come behind it, in their order. The same model gives the same bytes.
 * `alone`: other plain files go.
 */
export async function writeModelFolder<C extends CommonConfig>(
  files: Files,
  model: OutputModel<C>,
  options: { alone?: boolean } = {},
): Promise<void> {
  for (const [name, { data }] of model.weights) {
    const bad = firstNonfinite(data);
    if (bad < 0) continue;
    throw new LimbeckError("NONFINITE_WEIGHTS", `element ${bad} is ${data[bad]}; such weights are never saved.`, {
      where: `tensor ${quote(name)}`,
    });
  }
  const { config, format, tokenizerFiles } = model;
  const tokenizer = portableTokenizerFiles(tokenizerFiles, config.max_position_embeddings, format.tokenizer);
  const contents = new Map<string, Content>([
    ...[...tokenizer].map(([name, text]): [string, Content] => [name, toBytes(text)]),
    ["README.md", toBytes(model.readme)],
    [WEIGHTS, safetensorsChunks(model.weights)],
    [CONFIG, toBytes(serializeConfigOf(config, format))],
  ]);
  for (const [name, text] of model.extra ?? []) {
    checkBasename(name, files.folder);
    if (contents.has(name))
      throw new LimbeckError("NAME_TAKEN", "an extra file may not replace a file of the model.", { where: name });
    contents.set(name, toBytes(text));
  }
  if (!(await files.exists())) await files.create(async () => {});
  const there = await files.list();
  const first = [...(model.extra ?? new Map<string, string>()).keys()].reverse().concat(CONFIG);
  const others = options.alone ? there.filter((name) => !name.startsWith(".") && !contents.has(name)) : [];
  for (const name of [...first, ...others]) if (there.includes(name)) await files.remove(name);
  for (const [name, content] of contents) await files.write(name, content);
}
