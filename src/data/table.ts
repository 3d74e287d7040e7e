// Bytes of a TSV, CSV, JSONL or plain text file → rows that know their physical line.
//   tsv    cells between tabs, quoting off (as GLUE's files are written)
//   csv    RFC 4180: commas, quoted cells may hold newlines, a quote inside them is doubled
//   jsonl  one JSON object a line
//   lines  every line is one text
//   trec   "label text", the label up to the first space
// Only \n and \r\n end rows; an empty line is no row, and in tsv and lines neither is one of spaces alone. Malformed rows stop the reading, or up to `skipBad` are listed.
// Kept are the file's bytes and where each row begins, 4 bytes a row: strings and cells would be 20 times a file of short rows. A row is read anew
// whenever it is asked for.

import type { ErrorCode } from "../errorCodes.ts";
import { InputError } from "../errors.ts";
import { isObject, type JsonObject, parseJson } from "../formats/json.ts";
import { TextFile } from "./textFile.ts";

export type Format = "tsv" | "csv" | "jsonl" | "lines" | "trec";
export const FORMATS: readonly Format[] = ["tsv", "csv", "jsonl", "lines", "trec"];

/** A cell is a string, or whatever JSON holds; `undefined` where the row has no such column. */
export interface Row {
  readonly line: number;
  readonly width: number;
  cell(index: number): unknown;
}

export interface TableOptions {
  format?: Format;
  encoding?: string;
  /** Whether the first row names the columns (tsv and csv); "auto" asks `isColumn`. */
  header?: boolean | "auto";
  /** Whether somebody looks for a column of this name. */
  isColumn?: (name: string) => boolean;
}

/** As many as a spreadsheet has at most (Excel's last one is XFD). */
const MOST_COLUMNS = 16_384;
/** Malformed rows that are listed; the others are counted. */
const LISTED = 10;

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
export const isInteger = (cell: string) => INTEGER.test(cell);
export const isNumber = (cell: string) => NUMBER.test(cell) && Number.isFinite(Number(cell));

/** Counts malformed rows of one file; the one past the allowance stops the reading. */
export class BadRows {
  /** The first of them. */
  readonly found: { line: number; reason: string }[] = [];
  readonly #file: string;
  readonly #allowed: number;
  #count = 0;

  constructor(file: string, allowed: number) {
    this.#file = file;
    this.#allowed = allowed;
  }

  get count(): number {
    return this.#count;
  }

  report(line: number, reason: string, code: ErrorCode = "BAD_ROW"): void {
    if (this.#count >= this.#allowed) {
      const advice =
        this.#allowed === 0
          ? "Mend the row, or allow some such rows with --skip-bad N."
          : `${this.#allowed} bad rows were allowed and skipped before this one (--skip-bad ${this.#allowed}).`;
      throw new InputError(code, `${reason} ${advice}`, { where: `${this.#file}:${line}` });
    }
    if (this.#count++ < LISTED) this.found.push({ line, reason });
  }
}

const [NUL, TAB, NEWLINE, RETURN, SPACE, QUOTE, COMMA] = [0x00, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c];
const NUL_REASON = "the row holds a NUL character; is the file UTF-16 or binary?";

/** Rows in their order, each read when it is asked for. */
export class Table {
  readonly format: Format;
  /** Undefined when the file has no header. */
  columns: string[] | undefined;
  blankLines = 0;
  readonly #read: ReadRecord;
  #starts: Uint32Array | Float64Array;

  constructor(text: TextFile, format: Format, bad: BadRows, isColumn: (name: string) => boolean) {
    this.format = format;
    const names: string[] = [];
    if (format === "trec") this.columns = ["label", "text"];
    if (format === "jsonl") this.columns = names;
    const { bytes } = text;
    this.#read = recordsOf(text, format, names, isColumn);
    let lines = 1;
    for (let i = text.start; i < bytes.length; i++) if (bytes[i] === NEWLINE && bytes[i - 1] !== NEWLINE) lines++;
    const starts = new (bytes.length < 2 ** 32 ? Uint32Array : Float64Array)(lines);
    let count = 0;
    for (let at = text.start; at < bytes.length; ) {
      const { row, blank, next } = this.#read(at, bad);
      if (row) starts[count++] = at;
      if (blank) this.blankLines++;
      at = next;
    }
    // Where most lines are no rows, the places of all of them are not kept.
    this.#starts = 2 * count < lines ? starts.slice(0, count) : starts.subarray(0, count);
  }

  get length(): number {
    return this.#starts.length;
  }

  row(index: number): Row {
    return this.#read(this.#starts[index]).row as Row;
  }

  *[Symbol.iterator](): Generator<Row> {
    for (let i = 0; i < this.length; i++) yield this.row(i);
  }

  /** Leaves the others out. */
  keep(test: (row: Row, index: number) => boolean): void {
    let count = 0;
    for (let i = 0; i < this.length; i++) if (test(this.row(i), i)) this.#starts[count++] = this.#starts[i];
    this.#starts = this.#starts.subarray(0, count);
  }
}

export function readTable(bytes: Uint8Array, file: string, bad: BadRows, options: TableOptions = {}): Table {
  const { format = formatOf(file), encoding = "utf-8", header = "auto", isColumn = () => false } = options;
  const table = new Table(new TextFile(bytes, file, encoding), format, bad, isColumn);
  if ((format !== "tsv" && format !== "csv") || table.length === 0 || header === false) return table;
  const first = table.row(0);
  const { width } = first;
  const names = Array.from({ length: width }, (_, i) => String(first.cell(i)).trim());
  if (header === "auto" && !names.some(isColumn)) return table;
  table.columns = names;
  // More cells than names means that a separator inside a cell shifted the rest; fewer may lack only unused columns.
  table.keep((row, i) => {
    if (i === 0 || row.width <= width) return i > 0;
    bad.report(row.line, `the row has ${row.width} columns, the header names ${width}.`);
    return false;
  });
  return table;
}

function formatOf(file: string): Format {
  const extension = /\.([^./\\]+)$/.exec(file)?.[1].toLowerCase();
  if (extension === "tsv" || extension === "txt") return "tsv";
  if (extension === "csv") return "csv";
  if (extension === "jsonl" || extension === "json" || extension === "ndjson") return "jsonl";
  throw new InputError(
    "UNKNOWN_FORMAT",
    `the name does not tell the format (.tsv, .txt, .csv, .jsonl, .json do); say --format ${FORMATS.join("|")}.`,
    { where: file },
  );
}

/** What begins at a byte, and where the next record does. */
interface Found {
  readonly next: number;
  /** Absent when the record is malformed, which `bad` is told, or an empty line. */
  readonly row?: Row;
  readonly blank?: true;
}
type ReadRecord = (start: number, bad?: BadRows) => Found;

function recordsOf(text: TextFile, format: Format, names: string[], isColumn: (name: string) => boolean): ReadRecord {
  if (format === "jsonl") return jsonRecords(text, names, isColumn);
  return format === "csv" ? csvRecords(text) : lineRecords(text, format);
}

/** What begins at that byte. */
class RowAt {
  constructor(
    readonly text: TextFile,
    readonly start: number,
  ) {}

  get line(): number {
    return this.text.lineAt(this.start);
  }
}

/** Cells that lie between each two of these places. */
class CellRow extends RowAt implements Row {
  constructor(
    text: TextFile,
    start: number,
    readonly places: readonly number[],
  ) {
    super(text, start);
  }

  get width(): number {
    return this.places.length / 2;
  }

  cell(index: number): string | undefined {
    if (index >= this.width) return undefined;
    const from = this.places[2 * index];
    const content = this.text.slice(from, this.places[2 * index + 1]);
    // In front of other cells there is a separator.
    return this.text.bytes[from - 1] === QUOTE ? content.replaceAll('""', '"') : content;
  }
}

class ObjectRow extends RowAt implements Row {
  constructor(
    text: TextFile,
    start: number,
    readonly value: JsonObject,
    readonly names: readonly string[],
  ) {
    super(text, start);
  }

  get width(): number {
    return this.names.length;
  }

  cell(index: number): unknown {
    return this.value[this.names[index]];
  }
}

const TOO_WIDE = `the row has more than ${MOST_COLUMNS} columns; is it another format?`;

function lineRecords(text: TextFile, format: Format): ReadRecord {
  const { bytes } = text;
  return (start, bad) => {
    const newline = text.lineEnd(start);
    const next = newline + 1;
    const end = text.beforeReturn(start, newline);
    const places = [start];
    let blank: true | undefined = true;
    let nul = false;
    for (let i = start; i < end; i++) {
      const byte = bytes[i];
      if (byte !== SPACE) blank = undefined;
      // Most letters are done here.
      if (byte > SPACE) continue;
      if (byte === NUL) nul = true;
      const cut = format === "tsv" ? byte === TAB : format === "trec" && byte === SPACE && places.length === 1;
      if (cut && places.length < 2 * MOST_COLUMNS + 1) places.push(i, i + 1);
    }
    places.push(end);
    if (blank) return { next, blank };
    if (nul) bad?.report(text.lineAt(start), NUL_REASON);
    else if (format === "trec" && (places.length === 2 || places[1] === start))
      bad?.report(text.lineAt(start), 'a "label text" row needs a label, a space and a text.');
    else if (places.length > 2 * MOST_COLUMNS) bad?.report(text.lineAt(start), TOO_WIDE);
    else return { next, row: new CellRow(text, start, places) };
    return { next };
  };
}

function csvRecords(text: TextFile): ReadRecord {
  const { bytes } = text;
  const closingQuote = (from: number): number => {
    for (let at = from; ; at += 2) {
      at = bytes.indexOf(QUOTE, at);
      if (at < 0 || bytes[at + 1] !== QUOTE) return at;
    }
  };
  return (start, bad) => {
    const places: number[] = [];
    let at = start;
    for (;;) {
      if (bytes[at] === QUOTE) {
        const opened = at;
        const closed = closingQuote(opened + 1);
        if (closed < 0) {
          bad?.report(text.lineAt(start), `the quote opened on line ${text.lineAt(opened)} is never closed.`);
          return { next: text.lineEnd(opened) + 1 };
        }
        places.push(opened + 1, closed);
        at = closed + 1;
        if (bytes[at] === RETURN && bytes[at + 1] === NEWLINE) at++;
        if (at < bytes.length && bytes[at] !== COMMA && bytes[at] !== NEWLINE) {
          bad?.report(
            text.lineAt(start),
            `text follows the quote that opened on line ${text.lineAt(opened)} and closed on line ${text.lineAt(closed)}; inside quotes, write a quote twice.`,
          );
          return { next: text.lineEnd(at) + 1 };
        }
      } else {
        // One pass: a search for the comma alone would run to the end of a file that has none.
        let stop = at;
        while (stop < bytes.length && bytes[stop] !== COMMA && bytes[stop] !== NEWLINE && bytes[stop] !== QUOTE) stop++;
        if (bytes[stop] === QUOTE) {
          bad?.report(
            text.lineAt(start),
            "a quote stands inside an unquoted cell; quote the whole cell and write its quotes twice.",
          );
          return { next: text.lineEnd(stop) + 1 };
        }
        places.push(at, bytes[stop] === NEWLINE ? text.beforeReturn(at, stop) : stop);
        at = stop;
      }
      if (places.length > 2 * MOST_COLUMNS) {
        bad?.report(text.lineAt(start), TOO_WIDE);
        return { next: text.lineEnd(at) + 1 };
      }
      if (bytes[at] !== COMMA) break;
      at++;
    }
    const next = at + 1;
    if (bytes.subarray(start, at).includes(NUL)) {
      bad?.report(text.lineAt(start), NUL_REASON);
      return { next };
    }
    if (places.length === 2 && places[0] === places[1] && bytes[start] !== QUOTE) return { next, blank: true };
    return { next, row: new CellRow(text, start, places) };
  };
}

/** Names are collected as they come; of a file with very many only those that somebody looks for. */
function jsonRecords(text: TextFile, names: string[], isColumn: (name: string) => boolean): ReadRecord {
  const known = new Set<string>();
  return (start, bad) => {
    const newline = text.lineEnd(start);
    const next = newline + 1;
    const end = text.beforeReturn(start, newline);
    if (start === end) return { next, blank: true };
    let value: unknown;
    try {
      value = parseJson(text.slice(start, end), { where: "" });
    } catch (cause) {
      if (!(cause instanceof InputError)) throw cause;
      bad?.report(text.lineAt(start), `not a JSON value: ${cause.message} One object a line is expected.`);
      return { next };
    }
    if (!isObject(value)) {
      const found = Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`;
      bad?.report(
        text.lineAt(start),
        `the line holds ${found}, expected an object such as {"text": "…", "label": "…"}.`,
      );
      return { next };
    }
    for (const name of Object.keys(value))
      if (!known.has(name) && (known.size < MOST_COLUMNS || isColumn(name))) {
        known.add(name);
        names.push(name);
      }
    return { next, row: new ObjectRow(text, start, value, names) };
  };
}
