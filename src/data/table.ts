// Bytes of a TSV, CSV, JSONL or plain text file → rows that know their physical line.
//   tsv    cells between tabs, quoting off (as GLUE's files are written)
//   csv    RFC 4180: commas, quoted cells may hold newlines, a quote inside them is doubled
//   jsonl  one JSON object a line
//   lines  every line is one text
//   trec   "label text", the label up to the first space
// Only \n and \r\n end rows; an empty line is no row, and in tsv and lines neither is one of spaces alone. Malformed rows stop the reading, or up to `skipBad` are listed.

import type { ErrorCode } from "../errorCodes.ts";
import { InputError } from "../errors.ts";
import { parseJson } from "../formats/json.ts";

export type Format = "tsv" | "csv" | "jsonl" | "lines" | "trec";
export const FORMATS: readonly Format[] = ["tsv", "csv", "jsonl", "lines", "trec"];

/** A cell is a string, or whatever JSON holds; `undefined` where the row has no such column. */
export interface Row {
  line: number;
  cells: unknown[];
}

export interface Table {
  format: Format;
  /** Undefined when the file has no header. */
  columns: string[] | undefined;
  rows: Row[];
  blankLines: number;
}

export interface TableOptions {
  format?: Format;
  encoding?: string;
  /** Whether the first row names the columns (tsv and csv); "auto" asks `isHeader`. */
  header?: boolean | "auto";
  isHeader?: (cells: string[]) => boolean;
}

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
export const isInteger = (cell: string) => INTEGER.test(cell);
export const isNumber = (cell: string) => NUMBER.test(cell) && Number.isFinite(Number(cell));

/** Counts malformed rows of one file; the one past the allowance stops the reading. */
export class BadRows {
  readonly found: { line: number; reason: string }[] = [];
  readonly #file: string;
  readonly #allowed: number;

  constructor(file: string, allowed: number) {
    this.#file = file;
    this.#allowed = allowed;
  }

  report(line: number, reason: string, code: ErrorCode = "BAD_ROW"): void {
    if (this.found.length >= this.#allowed) {
      const advice =
        this.#allowed === 0
          ? "Mend the row, or allow some such rows with --skip-bad N."
          : `${this.#allowed} bad rows were allowed and skipped before this one (--skip-bad ${this.#allowed}).`;
      throw new InputError(code, `${reason} ${advice}`, { where: `${this.#file}:${line}` });
    }
    this.found.push({ line, reason });
  }
}

export function readTable(bytes: Uint8Array, file: string, bad: BadRows, options: TableOptions = {}): Table {
  const format = options.format ?? formatOf(file);
  const text = decode(bytes, file, options.encoding ?? "utf-8");
  if (format === "jsonl") return readJsonLines(text, bad);
  const table: Table = { format, columns: undefined, rows: [], blankLines: 0 };
  if (format === "csv") readCsv(text, bad, table);
  else for (const [line, content] of lines(text)) readLine(line, content, format, bad, table);
  if (format === "trec") table.columns = ["label", "text"];
  if (format === "tsv" || format === "csv") takeHeader(table, bad, options);
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

/** Text of the bytes without a BOM, or an error that says where they stop being in that encoding. */
export function decode(bytes: Uint8Array, file: string, encoding: string): string {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(encoding, { fatal: true });
  } catch (cause) {
    throw new InputError(
      "UNKNOWN_ENCODING",
      `encoding "${encoding}" is not one that TextDecoder knows; try utf-8, latin1, utf-16le or windows-1251.`,
      { where: file, cause },
    );
  }
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    const offset = validPrefix(bytes, encoding);
    let line = 1;
    for (let i = 0; i < offset; i++) if (bytes[i] === 10) line++;
    const mark = bytes[0] * 256 + bytes[1];
    const likely = mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "latin1";
    const advice =
      decoder.encoding === likely ? "Name the right one with --encoding." : `Try --encoding ${likely}, or convert it.`;
    const found = offset < bytes.length ? `0x${bytes[offset].toString(16).padStart(2, "0")}` : "the end of the file";
    throw new InputError("BAD_ENCODING", `not ${decoder.encoding} at byte ${offset} (${found}). ${advice}`, {
      where: `${file}:${line}`,
      cause,
    });
  }
}

/** How many bytes from the start are whole characters of the encoding. */
function validPrefix(bytes: Uint8Array, encoding: string): number {
  const decodes = (length: number, stream: boolean): boolean => {
    try {
      new TextDecoder(encoding, { fatal: true }).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  // A streaming decoder forgives a character that is cut at the end, so "decodes" is monotone in the length.
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (decodes(middle, true)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !decodes(good, false)) good--;
  return good;
}

function* lines(text: string): Generator<[line: number, content: string]> {
  let start = 0;
  for (let line = 1; start < text.length; line++) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    const returned = end > start && end < text.length && text[end - 1] === "\r" ? 1 : 0;
    yield [line, text.slice(start, end - returned)];
    start = end + 1;
  }
}

const UNQUOTED = /[^",\n]*/y;
const NUL_REASON = "the row holds a NUL character; is the file UTF-16 or binary?";

function readLine(line: number, content: string, format: Format, bad: BadRows, table: Table): void {
  if (/^ *$/.test(content)) {
    table.blankLines++;
    return;
  }
  if (content.includes("\0")) {
    bad.report(line, NUL_REASON);
    return;
  }
  if (format === "trec") {
    const space = content.indexOf(" ");
    if (space <= 0) {
      bad.report(line, 'a "label text" row needs a label, a space and a text.');
      return;
    }
    table.rows.push({ line, cells: [content.slice(0, space), content.slice(space + 1)] });
  } else {
    table.rows.push({ line, cells: format === "lines" ? [content] : content.split("\t") });
  }
}

function readCsv(text: string, bad: BadRows, table: Table): void {
  let at = 0;
  let line = 1;
  const lineEnd = (from: number): number => {
    const end = text.indexOf("\n", from);
    return end < 0 ? text.length : end;
  };

  /** One record from `at`; a reason when it is malformed, and then `at` stands where reading can go on. */
  const record = (cells: string[]): string | undefined => {
    for (;;) {
      if (text[at] === '"') {
        const opened = line;
        const afterOpening = at + 1;
        let cell = "";
        for (let from = afterOpening; ; ) {
          const quote = text.indexOf('"', from);
          if (quote < 0) {
            at = lineEnd(afterOpening);
            return `the quote opened on line ${opened} is never closed.`;
          }
          cell += text.slice(from, quote);
          if (text[quote + 1] !== '"') {
            at = quote + 1;
            break;
          }
          cell += '"';
          from = quote + 2;
        }
        line += cell.split("\n").length - 1;
        cells.push(cell);
        if (text[at] === "\r" && text[at + 1] === "\n") at++;
        if (at < text.length && text[at] !== "," && text[at] !== "\n") {
          at = lineEnd(at);
          return `text follows the quote that opened on line ${opened} and closed on line ${line}; inside quotes, write a quote twice.`;
        }
      } else {
        // One pass: a search for the comma alone would run to the end of a file that has none.
        UNQUOTED.lastIndex = at;
        UNQUOTED.test(text);
        const stop = UNQUOTED.lastIndex;
        if (text[stop] === '"') {
          at = lineEnd(stop);
          return "a quote stands inside an unquoted cell; quote the whole cell and write its quotes twice.";
        }
        const returned = text[stop] === "\n" && stop > at && text[stop - 1] === "\r" ? 1 : 0;
        const cell = text.slice(at, stop - returned);
        cells.push(cell);
        at = stop;
      }
      if (text[at] !== ",") return undefined;
      at++;
    }
  };

  while (at < text.length) {
    const cells: string[] = [];
    const start = at;
    const firstLine = line;
    let reason = record(cells);
    if (reason === undefined && text.slice(start, at).includes("\0")) reason = NUL_REASON;
    if (reason !== undefined) bad.report(firstLine, reason);
    else if (cells.length === 1 && cells[0] === "" && text[start] !== '"') table.blankLines++;
    else table.rows.push({ line: firstLine, cells });
    at++;
    line++;
  }
}

function takeHeader(table: Table, bad: BadRows, options: TableOptions): void {
  const { header = "auto", isHeader = () => false } = options;
  const cells = table.rows[0]?.cells as string[] | undefined;
  if (cells === undefined || header === false || (header === "auto" && !isHeader(cells))) return;
  table.columns = cells.map((cell) => cell.trim());
  const width = table.columns.length;
  // More cells than names means that a separator inside a cell shifted the rest; fewer may lack only unused columns.
  table.rows = table.rows.slice(1).filter((row) => {
    if (row.cells.length <= width) return true;
    bad.report(row.line, `the row has ${row.cells.length} columns, the header names ${width}.`);
    return false;
  });
}

function readJsonLines(text: string, bad: BadRows): Table {
  const table: Table = { format: "jsonl", columns: [], rows: [], blankLines: 0 };
  const indices = new Map<string, number>();
  for (const [line, content] of lines(text)) {
    if (content === "") {
      table.blankLines++;
      continue;
    }
    let value: unknown;
    try {
      value = parseJson(content, { where: "" });
    } catch (cause) {
      if (!(cause instanceof InputError)) throw cause;
      bad.report(line, `not a JSON value: ${cause.message} One object a line is expected.`);
      continue;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const found = Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`;
      bad.report(line, `the line holds ${found}, expected an object such as {"text": "…", "label": "…"}.`);
      continue;
    }
    const cells: unknown[] = [];
    for (const [name, cell] of Object.entries(value)) {
      let index = indices.get(name);
      if (index === undefined) {
        index = indices.size;
        indices.set(name, index);
      }
      cells[index] = cell;
    }
    table.rows.push({ line, cells });
  }
  table.columns = [...indices.keys()];
  return table;
}
