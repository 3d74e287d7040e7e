// A file of examples: which columns hold text and label, and what the labels mean. Labels are settled for the whole
// file before any training. Everything that was decided for the user is said in `notes`.

import { InputError } from "../errors.ts";
import { quote } from "../formats/files.ts";
import { type Tagged, type Tags, wordsOf } from "./augmentation/words.ts";
import { classesOfColumns, readSoftLabels, type SoftForm, type SoftLabelColumns } from "./softLabels.ts";
import { BadRows, isInteger, isNumber, type Row, readTable, type Table, type TableOptions } from "./table.ts";

export type Kind = "classification" | "regression";

export interface Example {
  text: string;
  pair?: string;
  /** A class id, or a score for regression; absent on unlabelled rows. */
  label?: number;
  /** The physical line where the row starts. */
  line: number;
  /** The part of speech of each word of text and pair, where a column of the file has them. */
  tags?: Tagged;
  /** A teacher's logits, where columns of the file have its soft labels. [C] */
  soft?: readonly number[];
}

export interface DatasetOptions extends Omit<TableOptions, "isHeader"> {
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
  examples: Example[];
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
  const isHeader = (cells: string[]) =>
    cells.some((cell) => KNOWN_COLUMNS.has(cell.trim().toLowerCase()) || told.includes(cell.trim()));
  const table = readTable(bytes, file, bad, { ...options, isHeader });
  const empty = (found: string) =>
    new InputError("EMPTY_FILE", `the file has ${found}; at least one example is needed.`, { where: file });
  const onlyBad = () => empty(`only malformed rows (${bad.found.length})`);
  if (table.rows.length === 0) {
    throw bad.found.length ? onlyBad() : empty(table.columns?.length ? "a header and no rows" : "no rows");
  }
  const notes: string[] = [];
  const columns = pickColumns(table, file, options, notes);
  const softForm = softFormOf(options, file);
  const read = table.rows.flatMap((row) => readRow(row, table, columns, softForm, bad));
  const labels = settleLabels(
    read,
    file,
    softForm ? withClasses(options, read, table, columns, file) : options,
    bad,
    notes,
  );
  const examples = read.flatMap(({ text, pair, line, tags, soft }, index): Example[] => {
    const label = labels.values[index];
    if (label === "bad") return [];
    const optional = { ...(pair === undefined ? {} : { pair }), ...(label === undefined ? {} : { label }) };
    return [
      { text, ...optional, line, ...(tags === undefined ? {} : { tags }), ...(soft === undefined ? {} : { soft }) },
    ];
  });
  const labelled = examples.filter(({ label }) => label !== undefined).length;
  if (examples.length === 0) throw onlyBad();
  if (columns.label !== undefined && labelled < examples.length) {
    notes.push(`${examples.length - labelled} of ${examples.length} rows have no label: they train on soft terms only`);
  }
  if (new Set(examples.map(({ label }) => label).filter((label) => label !== undefined)).size === 1) {
    notes.push(`warning: every label is the same; nothing can be learned from, or measured by, one class`);
  }
  const learnt = new Set(examples.map(({ label }) => label));
  const absent = Object.entries(labels.label2id ?? {}).filter(([, id]) => !learnt.has(id));
  if (absent.length > 0 && learnt.size > 1) {
    const names = absent.slice(0, 10).map(([name]) => JSON.stringify(name));
    notes.push(`warning: ${absent.length} classes have no row: ${names.join(", ")}${absent.length > 10 ? ", …" : ""}`);
  }
  const distinct = new Set(examples.map(({ text, pair }) => JSON.stringify([text, pair]))).size;
  if (distinct < examples.length) notes.push(`${examples.length - distinct} rows repeat an earlier row's text`);
  if (table.blankLines > 0) notes.push(`${table.blankLines} empty lines left out`);
  if (bad.found.length > 0) {
    const shown = bad.found.slice(0, 10).map(({ line, reason }) => `line ${line}: ${reason}`);
    if (bad.found.length > shown.length) shown.push("…");
    notes.push(`warning: ${bad.found.length} malformed rows left out: ${shown.join(" ")}`);
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
    fingerprint: await sha256(bytes),
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
  const width = table.rows.reduce((most, row) => Math.max(most, row.cells.length), table.columns?.length ?? 0);
  const fail = (message: string): never => {
    // A file that is one wide column was most likely split at the wrong character.
    const misread = table.format === "csv" && width === 1 && String(table.rows[0]?.cells[0]).includes("\t");
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

interface ReadRow {
  text: string;
  pair: string | undefined;
  /** Trimmed; undefined when the cell is empty, null or absent. */
  label: string | undefined;
  line: number;
  tags: Tagged | undefined;
  soft: number[] | undefined;
}

function readRow(row: Row, table: Table, columns: Columns, softForm: SoftForm | undefined, bad: BadRows): ReadRow[] {
  const title = (index: number) => (table.columns ? `column "${table.columns[index]}"` : `column ${index}`);
  const reject = (reason: string): undefined => {
    bad.report(row.line, reason);
    return undefined;
  };
  const textOf = (index: number): string | undefined => {
    const cell = row.cells[index];
    if (cell === undefined) {
      return reject(
        `the row has no ${title(index)}${table.format === "jsonl" ? "" : ` (${row.cells.length} columns)`}.`,
      );
    }
    if (typeof cell !== "string") return reject(`${title(index)} should hold text, it holds ${quote(cell)}.`);
    return cell.trim() === "" ? reject(`the text in ${title(index)} is empty.`) : cell;
  };
  const text = textOf(columns.text);
  if (text === undefined) return [];
  const pair = columns.pair === undefined ? undefined : textOf(columns.pair);
  if (columns.pair !== undefined && pair === undefined) return [];
  let label: string | undefined;
  if (columns.label !== undefined) {
    const cell = row.cells[columns.label];
    if (cell === undefined && table.format !== "jsonl") {
      reject(`the row has no label, ${title(columns.label)} (${row.cells.length} columns).`);
      return [];
    }
    if (typeof cell === "object" && cell !== null) {
      reject(`${title(columns.label)} should hold one label, it holds ${quote(cell)}.`);
      return [];
    }
    label = String(cell ?? "").trim() || undefined;
  }
  let soft: number[] | undefined;
  if (softForm && columns.soft) {
    const found = readSoftLabels(
      columns.soft.map((index) => row.cells[index]),
      columns.soft.map(title),
      softForm,
    );
    if (typeof found === "string") {
      bad.report(row.line, found, "BAD_SOFT_LABELS");
      return [];
    }
    soft = found;
  }
  if (columns.tags === undefined) return [{ text, pair, label, line: row.line, tags: undefined, soft }];
  const tagsOf = (index: number, words: string): Tags | undefined => {
    const tags = wordsOf(textOf(index) ?? "");
    const expected = wordsOf(words).length;
    if (tags.length === expected) return tags;
    if (tags.length > 0) reject(`${title(index)} has ${tags.length} tags for the ${expected} words of the text.`);
    return undefined;
  };
  const tags = tagsOf(columns.tags, text);
  const pairTags = columns.pairTags === undefined ? [] : tagsOf(columns.pairTags, pair ?? "");
  return tags && pairTags ? [{ text, pair, label, line: row.line, tags: [tags, pairTags], soft }] : [];
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
  rows: readonly ReadRow[],
  table: Table,
  { soft = [] }: Columns,
  file: string,
): DatasetOptions {
  if (options.task === "regression") return options;
  const labels = [...new Set(rows.flatMap(({ label }) => label ?? []))];
  if (labels.every(isInteger)) labels.sort((a, b) => Number(a) - Number(b));
  else labels.sort();
  const names = soft.map((index, id) => table.columns?.[index] ?? String(id));
  return { ...options, task: "classification", label2id: classesOfColumns(labels, names, file) };
}

interface Labels {
  kind: Kind;
  label2id: Record<string, number> | undefined;
  /** One per row that was read; "bad" when the label is malformed and the row was skipped. */
  values: (number | undefined | "bad")[];
}

function settleLabels(rows: ReadRow[], file: string, options: DatasetOptions, bad: BadRows, notes: string[]): Labels {
  const present = rows.filter((row): row is ReadRow & { label: string } => row.label !== undefined);
  const convert = (toValue: (label: string) => number | undefined, reason: (label: string) => string) =>
    rows.map(({ label, line }) => {
      if (label === undefined) return undefined;
      const value = toValue(label);
      if (value !== undefined) return value;
      bad.report(line, reason(label), "BAD_LABEL");
      return "bad";
    });

  const fractional = present.find(({ label }) => isNumber(label) && !isInteger(label));
  const named = present.find(({ label }) => !isNumber(label));
  let kind = options.task;
  if (kind === undefined && options.label2id === undefined && fractional) {
    if (named) {
      throw new InputError(
        "MIXED_LABELS",
        `the label column holds both "${named.label}" and the score ${fractional.label} (line ${fractional.line}); say --task regression or --task classification.`,
        { where: `${file}:${named.line}` },
      );
    }
    kind = "regression";
    notes.push(`the labels are scores such as ${fractional.label}: regression`);
  }
  kind ??= "classification";
  if (kind === "regression") {
    const score = (label: string) => (isNumber(label) ? Number(label) : undefined);
    return { kind, label2id: undefined, values: convert(score, (label) => `the score "${label}" is not a number.`) };
  }

  if (options.label2id === undefined) {
    const names = [...new Set(present.map(({ label }) => label))];
    if (names.every((name) => isInteger(name))) names.sort((a, b) => Number(a) - Number(b));
    else names.sort();
    const own = Object.fromEntries(names.map((name, id) => [name, id]));
    const ids = new Map(names.map((name, id) => [name, id]));
    return { kind, label2id: names.length ? own : undefined, values: rows.map(({ label }) => ids.get(label ?? "")) };
  }

  const ids = new Map(Object.entries(options.label2id));
  const isId = (label: string) => /^\d+$/.test(label) && Number(label) < ids.size;
  const noneNamed = !present.some(({ label }) => ids.has(label));
  if (noneNamed && present.length > 0 && present.every(({ label }) => isId(label))) {
    notes.push(`no label is a name of the model's (${listed(ids)}), all are integers under ${ids.size}: taken as ids`);
    return {
      kind,
      label2id: { ...options.label2id },
      values: rows.map(({ label }) => (label ? Number(label) : undefined)),
    };
  }
  if (noneNamed && present.length > 0 && present.every(({ label }) => isInteger(label))) {
    // Not a matter for --skip-bad: the rows that would be left, taken as ids, could all mean another class.
    const { label, line } = present.find((row) => !isId(row.label))!;
    const oneBased = present.every((row) => Number(row.label) >= 1 && Number(row.label) <= ids.size);
    const advice = oneBased
      ? "The labels count from 1, ids from 0: subtract 1, or write the names."
      : "Mend the labels.";
    throw new InputError(
      "BAD_LABEL",
      `the label "${label}" is no id from 0 to ${ids.size - 1}, and no name of the model's: ${listed(ids)}. ${advice}`,
      { where: `${file}:${line}` },
    );
  }
  return {
    kind,
    label2id: { ...options.label2id },
    values: convert(
      (label) => ids.get(label),
      (label) => `the label "${label}" is not one of the model's: ${listed(ids)}.`,
    ),
  };
}

function listed(ids: Map<string, number>): string {
  const names = [...ids.keys()];
  const shown = names.slice(0, 20).map((name) => `"${name}"`);
  return names.length > 20 ? `${shown.join(", ")} and ${names.length - 20} more` : shown.join(", ");
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
