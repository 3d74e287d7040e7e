// A file of examples: which columns hold text and label, and what the labels mean. Labels are settled for the whole
// file before any training. Everything that was decided for the user is said in `notes`.

import { InputError } from "../errors.ts";
import { quote } from "../formats/files.ts";
import { sha256 } from "../sha256.ts";
import { type Tags, wordsOf } from "./augmentation/words.ts";
import { DistinctTexts, type Example, Examples } from "./examples.ts";
import { classesOfColumns, readSoftLabels, type SoftForm, type SoftLabelColumns } from "./softLabels.ts";
import { BadRows, isInteger, isNumber, type Row, readTable, type Table, type TableOptions } from "./table.ts";

export type Kind = "classification" | "regression";

export interface DatasetOptions extends Omit<TableOptions, "isColumn"> {
  /** A column is a name of the header or a 0-based index. */
  textColumn?: string | number;
  pairColumn?: string | number;
  labelColumn?: string | number;
  /** A tag for each word of the text, of the second text: parts of speech for augmentation. */
  tagColumn?: string | number;
  pairTagColumn?: string | number;
  /** What a teacher said of each row: no other teacher is needed then. */
  softLabels?: SoftLabelColumns;
  /** How many malformed rows may be left out. */
  skipBad?: number;
  task?: Kind;
  /** Of the model that the labels are for; without it the file's own labels make one. */
  label2id?: Readonly<Record<string, number>>;
}

export interface Dataset {
  file: string;
  examples: Examples;
  pair: boolean;
  kind: Kind;
  /** Undefined for regression, and where neither the options nor the file give labels. */
  label2id: Record<string, number> | undefined;
  /** What the columns with soft labels hold. */
  softForm?: SoftForm;
  /** How many examples have a label. */
  labelled: number;
  /** For the log: what was decided or looks odd. */
  notes: string[];
  /** SHA-256 of the file's bytes, hexadecimal. */
  fingerprint: string;
}

const PAIR_COLUMNS = [
  ["sentence1", "sentence2"],
  ["premise", "hypothesis"],
  ["question1", "question2"],
  ["question", "sentence"],
  ["text_a", "text_b"],
  ["text1", "text2"],
  ["#1 string", "#2 string"],
];
const TEXT_COLUMNS = ["sentence", "text", "review", "utterance", "query", "question", "content"];
const LABEL_COLUMNS = [
  "label",
  "gold_label",
  "labels",
  "score",
  "similarity",
  "quality",
  "category",
  "intent",
  "class",
];
const KNOWN_COLUMNS = new Set([...PAIR_COLUMNS.flat(), ...TEXT_COLUMNS, ...LABEL_COLUMNS]);

export async function readDataset(bytes: Uint8Array, file: string, options: DatasetOptions = {}): Promise<Dataset> {
  const bad = new BadRows(file, options.skipBad ?? 0);
  // Digits are indices of columns, and could stand in any row of data.
  const { textColumn, pairColumn, labelColumn, tagColumn, pairTagColumn } = options;
  const soft = options.softLabels?.columns ?? [];
  const told = [textColumn, pairColumn, labelColumn, tagColumn, pairTagColumn, ...soft].filter(
    (column) => typeof column === "string" && !/^\d+$/.test(column),
  );
  const isColumn = (name: string) => KNOWN_COLUMNS.has(name.trim().toLowerCase()) || told.includes(name.trim());
  const fingerprint = await sha256(bytes);
  const table = readTable(bytes, file, bad, { ...options, isColumn });
  const empty = (found: string) =>
    new InputError("EMPTY_FILE", `the file has ${found}; at least one example is needed.`, { where: file });
  const onlyBad = () => empty(`only malformed rows (${bad.count})`);
  if (table.length === 0) {
    throw bad.count ? onlyBad() : empty(table.columns?.length ? "a header and no rows" : "no rows");
  }
  const notes: string[] = [];
  const columns = pickColumns(table, file, options, notes);
  const softForm = softFormOf(options, file);
  const readExample = exampleReader(table, columns, softForm);
  table.keep((row) => readExample(row, bad) !== undefined);
  const labelOf = labelReader(columns);
  const present = () => labelsOf(table, labelOf);
  const named = softForm ? withClasses(options, present(), table, columns, file, bytes.length) : options;
  const labels = settleLabels(present, file, bytes.length, named, notes);
  table.keep((row) => {
    const label = labelOf(row);
    if (label === undefined || labels.value(label) !== undefined) return true;
    bad.report(row.line, labels.wrong(label), "BAD_LABEL");
    return false;
  });
  if (table.length === 0) throw onlyBad();
  const examples = new Examples(table.length, (index) => {
    const { label, ...rest } = readExample(table.row(index)) as ReadRow;
    return label === undefined ? rest : { ...rest, label: labels.value(label) };
  });
  let labelled = 0;
  /** Scores: only whether there are two. */
  const learnt = new Set<number>();
  for (const { label } of present()) {
    labelled++;
    if (labels.kind === "classification" || learnt.size < 2) learnt.add(labels.value(label) as number);
  }
  if (columns.label !== undefined && labelled < examples.length) {
    notes.push(`${examples.length - labelled} of ${examples.length} rows have no label: they train on soft terms only`);
  }
  if (learnt.size === 1) {
    notes.push(`warning: every label is the same; nothing can be learned from, or measured by, one class`);
  }
  const absent = Object.entries(labels.label2id ?? {}).filter(([, id]) => !learnt.has(id));
  if (absent.length > 0 && learnt.size + Number(labelled < examples.length) > 1) {
    const names = absent.slice(0, 10).map(([name]) => JSON.stringify(name));
    notes.push(`warning: ${absent.length} classes have no row: ${names.join(", ")}${absent.length > 10 ? ", …" : ""}`);
  }
  const distinct = new DistinctTexts(examples).size;
  if (distinct < examples.length) notes.push(`${examples.length - distinct} rows repeat an earlier row's text`);
  if (table.blankLines > 0) notes.push(`${table.blankLines} empty lines left out`);
  if (bad.count > 0) {
    const shown = bad.found.map(({ line, reason }) => `line ${line}: ${reason}`);
    if (bad.count > shown.length) shown.push("…");
    notes.push(`warning: ${bad.count} malformed rows left out: ${shown.join(" ")}`);
  }
  return {
    file,
    examples,
    pair: columns.pair !== undefined,
    kind: labels.kind,
    label2id: labels.label2id,
    ...(softForm === undefined ? {} : { softForm }),
    labelled,
    notes: notes.map((note) => `${file}: ${note}`),
    fingerprint,
  };
}

interface Columns {
  text: number;
  pair?: number;
  label?: number;
  tags?: number;
  pairTags?: number;
  soft?: number[];
}

function pickColumns(table: Table, file: string, options: DatasetOptions, notes: string[]): Columns {
  const { textColumn, pairColumn, labelColumn } = options;
  const names = table.columns?.map((name) => name.toLowerCase());
  let width = table.columns?.length ?? 0;
  if (!table.columns) for (const row of table) width = Math.max(width, row.width);
  const fail = (message: string): never => {
    // A file that is one wide column was most likely split at the wrong character.
    const misread = table.format === "csv" && width === 1 && String(table.row(0).cell(0)).includes("\t");
    const advice = misread ? " The file holds tabs: is it --format tsv?" : "";
    throw new InputError("NO_COLUMN", message + advice, { where: file });
  };
  const shown = table.columns
    ? `The columns are ${table.columns.map((name) => `"${name}"`).join(", ")}.`
    : `The file has no header that limbeck knows, and ${width} columns (0 to ${width - 1}).`;
  const find = (column: string | number, option: string): number => {
    const name = String(column);
    const named = table.columns?.indexOf(name) ?? -1;
    const index = named >= 0 ? named : (names?.indexOf(name.toLowerCase()) ?? -1);
    if (index >= 0) return index;
    if (/^\d+$/.test(name) && table.format !== "jsonl" && Number(name) < width) return Number(name);
    return fail(`there is no column "${name}" (${option}). ${shown}`);
  };
  const auto = (candidates: string[]): number | undefined => {
    const found = candidates.map((name) => names?.indexOf(name) ?? -1).find((index) => index >= 0);
    return found;
  };

  const columns: Partial<Columns> = {};
  if (textColumn !== undefined) {
    columns.text = find(textColumn, "--text-column");
    if (pairColumn !== undefined) columns.pair = find(pairColumn, "--pair-column");
  } else if (pairColumn !== undefined) {
    fail("--pair-column names the second text; say --text-column too.");
  } else {
    const pair = PAIR_COLUMNS.find((pairNames) => pairNames.every((name) => names?.includes(name)));
    if (pair && names) [columns.text, columns.pair] = pair.map((name) => names.indexOf(name));
    else columns.text = auto(TEXT_COLUMNS);
  }
  if (columns.text === undefined && table.columns === undefined && width === 1) columns.text = 0;
  if (labelColumn !== undefined) columns.label = find(labelColumn, "--label-column");
  else columns.label = auto(LABEL_COLUMNS);
  if (columns.text === undefined) {
    return fail(`which column holds the text? Say --text-column (and --label-column). ${shown}`);
  }
  if (options.tagColumn !== undefined) columns.tags = find(options.tagColumn, "--tag-column");
  if (options.pairTagColumn !== undefined) columns.pairTags = find(options.pairTagColumn, "--pair-tag-column");
  const [first, second, pair] = [columns.tags, columns.pairTags, columns.pair].map((index) => index !== undefined);
  if (first ? second !== pair : second)
    fail("each text needs its tags: --tag-column for the first, --pair-tag-column for the second.");
  if (options.softLabels) columns.soft = options.softLabels.columns.map((name) => find(name, "--soft-label-columns"));
  const used = Object.values(columns).flatMap((index) => index ?? []);
  if (new Set(used).size < used.length) fail("one column cannot be two of text, pair, label, tags and soft labels.");

  const title = (index: number | undefined) =>
    index === undefined ? "none" : table.columns ? `"${table.columns[index]}"` : `column ${index}`;
  const pairTitle = columns.pair === undefined ? "" : `, pair: ${title(columns.pair)}`;
  const softTitle = columns.soft === undefined ? "" : `, soft labels: ${columns.soft.map(title).join(", ")}`;
  notes.push(`text: ${title(columns.text)}${pairTitle}, label: ${title(columns.label)}${softTitle}`);
  if (table.columns === undefined && (table.format === "tsv" || table.format === "csv")) {
    notes.push("no header row was recognised: line 1 is data");
  }
  return columns as Columns;
}

interface ReadRow extends Omit<Example, "label"> {
  label?: string;
}
/** What a row says, or undefined: `bad` is told what is wrong with it. */
type ReadExample = (row: Row, bad?: BadRows) => ReadRow | undefined;

function exampleReader(table: Table, columns: Columns, softForm: SoftForm | undefined): ReadExample {
  const { format } = table;
  const titles = new Map(
    Object.values(columns)
      .flat()
      .map((index) => [index, table.columns ? `column "${table.columns[index]}"` : `column ${index}`]),
  );
  const title = (index: number) => titles.get(index) as string;
  const widthOf = (row: Row) => (format === "jsonl" ? "" : ` (${row.width} columns)`);
  const labelOf = labelReader(columns);
  const textOf = (row: Row, index: number, bad?: BadRows): string | undefined => {
    const cell = row.cell(index);
    if (cell === undefined) bad?.report(row.line, `the row has no ${title(index)}${widthOf(row)}.`);
    else if (typeof cell !== "string")
      bad?.report(row.line, `${title(index)} should hold text, it holds ${quote(cell)}.`);
    else if (cell.trim() === "") bad?.report(row.line, `the text in ${title(index)} is empty.`);
    else return cell;
    return undefined;
  };
  const tagsOf = (row: Row, index: number, words: string, bad?: BadRows): Tags | undefined => {
    const cell = textOf(row, index, bad);
    if (cell === undefined) return undefined;
    const [tags, expected] = [wordsOf(cell), wordsOf(words).length];
    if (tags.length === expected) return tags;
    bad?.report(row.line, `${title(index)} has ${tags.length} tags for the ${expected} words of the text.`);
    return undefined;
  };
  return (row, bad) => {
    const text = textOf(row, columns.text, bad);
    if (text === undefined) return undefined;
    const read: ReadRow = { text };
    if (columns.pair !== undefined) {
      read.pair = textOf(row, columns.pair, bad);
      if (read.pair === undefined) return undefined;
    }
    if (columns.label !== undefined) {
      const cell = row.cell(columns.label);
      if (cell === undefined && format !== "jsonl") {
        bad?.report(row.line, `the row has no label, ${title(columns.label)}${widthOf(row)}.`);
        return undefined;
      }
      if (typeof cell === "object" && cell !== null) {
        bad?.report(row.line, `${title(columns.label)} should hold one label, it holds ${quote(cell)}.`);
        return undefined;
      }
      const label = labelOf(row);
      if (label !== undefined) read.label = label;
    }
    if (softForm && columns.soft) {
      const cells = columns.soft.map((index) => row.cell(index));
      const soft = readSoftLabels(cells, columns.soft.map(title), softForm);
      if (typeof soft === "string") {
        bad?.report(row.line, soft, "BAD_SOFT_LABELS");
        return undefined;
      }
      read.soft = soft;
    }
    if (columns.tags !== undefined) {
      const tags = tagsOf(row, columns.tags, text, bad);
      const pairTags =
        tags && columns.pairTags !== undefined ? tagsOf(row, columns.pairTags, read.pair ?? "", bad) : [];
      if (!tags || !pairTags) return undefined;
      read.tags = [tags, pairTags];
    }
    return read;
  };
}

/** Trimmed; undefined when the cell is empty, null or absent. */
function labelReader({ label }: Columns): (row: Row) => string | undefined {
  return (row) => (label === undefined ? undefined : String(row.cell(label) ?? "").trim() || undefined);
}

interface Labelled {
  readonly label: string;
  readonly row: Row;
}

/** Those that are there, with their rows. */
function* labelsOf(table: Table, labelOf: (row: Row) => string | undefined): Generator<Labelled> {
  for (const row of table) {
    const label = labelOf(row);
    if (label !== undefined) yield { label, row };
  }
}

/** One column is a score of regression, several are classes. */
function softFormOf({ softLabels, task }: DatasetOptions, where: string): SoftForm | undefined {
  if (!softLabels) return undefined;
  const { columns, form = "probabilities" } = softLabels;
  const regression = task === "regression";
  if (columns.length !== 0 && (columns.length === 1) === regression) return regression ? "score" : form;
  const expected = regression
    ? "regression has one, the teacher's score"
    : "each class has one, so at least 2 (a score needs --task regression)";
  throw new InputError("SOFT_LABEL_COUNT", `${columns.length} columns were named for soft labels; ${expected}.`, {
    where,
  });
}

/** The options with the class ids that columns of soft labels mean. */
function withClasses(
  options: DatasetOptions,
  present: Iterable<Labelled>,
  table: Table,
  { soft = [] }: Columns,
  file: string,
  size: number,
): DatasetOptions {
  if (options.task === "regression") return options;
  const labels = distinctLabels(present, size, file);
  if (labels.every(isInteger)) labels.sort((a, b) => Number(a) - Number(b));
  else labels.sort();
  const names = soft.map((index, id) => table.columns?.[index] ?? String(id));
  return { ...options, task: "classification", label2id: classesOfColumns(labels, names, file) };
}

interface Labels {
  kind: Kind;
  label2id: Record<string, number> | undefined;
  /** Undefined for a malformed label, of which `wrong` says why. */
  value(label: string): number | undefined;
  wrong(label: string): string;
}

/** Labels without a model's names: each has a place in the vocabulary of classes, which may grow with the file but not as it does. */
const MOST_LABELS = 5000;
const BYTES_OF_LABEL = 100;

function distinctLabels(present: Iterable<Labelled>, size: number, file: string): string[] {
  const names = new Set<string>();
  const most = MOST_LABELS + Math.floor(size / BYTES_OF_LABEL);
  for (const { label } of present) {
    if (names.add(label).size > most)
      throw new InputError(
        "TOO_MANY_LABELS",
        `the label column has more than ${most} different values, in a file of ${size} bytes; name another with --label-column, or say --task regression.`,
        { where: file },
      );
  }
  return [...names];
}

function settleLabels(
  present: () => Iterable<Labelled>,
  file: string,
  size: number,
  options: DatasetOptions,
  notes: string[],
): Labels {
  const find = (test: (label: string) => boolean): Labelled | undefined => {
    for (const labelled of present()) if (test(labelled.label)) return labelled;
    return undefined;
  };
  const every = (test: (label: string) => boolean) => find((label) => !test(label)) === undefined;

  let kind = options.task;
  if (kind === undefined && options.label2id === undefined) {
    const fractional = find((label) => isNumber(label) && !isInteger(label));
    const named = fractional && find((label) => !isNumber(label));
    if (named) {
      throw new InputError(
        "MIXED_LABELS",
        `the label column holds both "${named.label}" and the score ${fractional.label} (line ${fractional.row.line}); say --task regression or --task classification.`,
        { where: `${file}:${named.row.line}` },
      );
    }
    if (fractional) {
      kind = "regression";
      notes.push(`the labels are scores such as ${fractional.label}: regression`);
    }
  }
  kind ??= "classification";
  if (kind === "regression") {
    const value = (label: string) => (isNumber(label) ? Number(label) : undefined);
    return { kind, label2id: undefined, value, wrong: (label) => `the score "${label}" is not a number.` };
  }

  if (options.label2id === undefined) {
    const names = distinctLabels(present(), size, file);
    if (names.every((name) => isInteger(name))) names.sort((a, b) => Number(a) - Number(b));
    else names.sort();
    return {
      ...namedLabels(Object.fromEntries(names.map((name, id) => [name, id]))),
      ...(names.length ? {} : { label2id: undefined }),
    };
  }

  const given = namedLabels({ ...options.label2id });
  const { count, value } = given;
  const isId = (label: string) => /^\d+$/.test(label) && Number(label) < count;
  const someInteger = find(() => true) && every((label) => value(label) === undefined && isInteger(label));
  if (!someInteger) return given;
  const wrong = find((label) => !isId(label));
  if (!wrong) {
    notes.push(`no label is a name of the model's (${given.listed}), all are integers under ${count}: taken as ids`);
    return { ...given, value: Number };
  }
  // Not a matter for --skip-bad: the rows that would be left, taken as ids, could all mean another class.
  const oneBased = every((label) => Number(label) >= 1 && Number(label) <= count);
  const advice = oneBased ? "The labels count from 1, ids from 0: subtract 1, or write the names." : "Mend the labels.";
  throw new InputError(
    "BAD_LABEL",
    `the label "${wrong.label}" is no id from 0 to ${count - 1}, and no name of the model's: ${given.listed}. ${advice}`,
    { where: `${file}:${wrong.row.line}` },
  );
}

function namedLabels(label2id: Record<string, number>): Labels & { listed: string; count: number } {
  const ids = new Map(Object.entries(label2id));
  const listed = quotedNames([...ids.keys()]);
  return {
    ...{ kind: "classification", label2id, listed, count: ids.size, value: (label) => ids.get(label) },
    wrong: (label) => `the label "${label}" is not one of the model's: ${listed}.`,
  };
}

function quotedNames(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => `"${name}"`);
  return names.length > 20 ? `${shown.join(", ")} and ${names.length - 20} more` : shown.join(", ");
}
