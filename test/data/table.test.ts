import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BadRows, type Format, readTable, type Table, type TableOptions } from "../../src/data/table.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
/** All of it, row by row. */
const rowsOf = (table: Table) =>
  [...table].map((row) => ({ line: row.line, cells: Array.from({ length: row.width }, (_, i) => row.cell(i)) }));
const read = (text: string, format: Format, options: TableOptions = {}, skipBad = 0) => {
  const bad = new BadRows("f", skipBad);
  const table = readTable(bytes(text), "f", bad, { format, header: false, ...options });
  return { columns: table.columns, blankLines: table.blankLines, rows: rowsOf(table), bad: bad.found };
};
const rows = (text: string, format: Format, options: TableOptions = {}) =>
  read(text, format, options).rows.map(({ line, cells }) => [line, ...cells]);

describe("rows and their physical lines", () => {
  test("only \\n and \\r\\n end a row, with or without one at the end [D2]", () => {
    const text = "a\u2028b\tc\u0085\r\nd\re\tf\n\ng\th";
    const expected = [
      [1, "a\u2028b", "c\u0085"],
      [2, "d\re", "f"],
      [4, "g", "h"],
    ];
    expect(rows(text, "tsv")).toEqual(expected);
    expect(rows(`${text}\n`, "tsv")).toEqual(expected);
    expect(read(text, "tsv").blankLines).toBe(1);
  });

  test("tsv takes quotes as they are", () => {
    expect(rows('he said "no\t1\n"x"\t0\n', "tsv")).toEqual([
      [1, 'he said "no', "1"],
      [2, '"x"', "0"],
    ]);
  });

  test("csv cells may hold newlines, commas and doubled quotes", () => {
    expect(rows('"a\r\nb, ""c""",1\r\n\r\nd,\n"",""', "csv")).toEqual([
      [1, 'a\r\nb, "c"', "1"],
      [4, "d", ""],
      [5, "", ""],
    ]);
  });

  test("jsonl rows are objects, cells found by name", () => {
    const table = read('{"text":"a","label":1}\n{"label":null,"text":"b","more":[]}\n', "jsonl");
    expect(table.columns).toEqual(["text", "label", "more"]);
    expect(table.rows.map(({ cells }) => cells)).toEqual([
      ["a", 1, undefined],
      ["b", null, []],
    ]);
  });

  test("trec rows end their label at the first space", () => {
    expect(rows("5 How far is it ?\n", "trec")).toEqual([[1, "5", "How far is it ?"]]);
  });

  test("a header is taken where told, or where it is recognised", () => {
    const isColumn = (name: string) => name === "label";
    expect(read("x\ty\na\tb\n", "tsv", { header: true }).columns).toEqual(["x", "y"]);
    expect(read("x\tlabel\na\tb\n", "tsv", { header: "auto", isColumn }).columns).toEqual(["x", "label"]);
    expect(read("x\ty\na\tb\n", "tsv", { header: "auto", isColumn }).columns).toBeUndefined();
  });
});

describe("what is written is read back", () => {
  const cell = fc.string({ unit: fc.constantFrom("a", "é", " ", ",", '"', "\n", "\r\n", "\t", "'") });
  const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 8 });
  const lineBreaks = (text: string) => text.split("\n").length - 1;

  test("csv", () => {
    fc.assert(
      fc.property(table, fc.constantFrom("\n", "\r\n"), fc.boolean(), (cells, end, last) => {
        const records = cells.map((row) => row.map((c) => `"${c.replaceAll('"', '""')}"`).join(","));
        let line = 1;
        const expected = cells.map((row, i) => {
          const start = line;
          line += 1 + lineBreaks(records[i]);
          return [start, ...row];
        });
        expect(rows(records.join(end) + (last ? end : ""), "csv")).toEqual(expected);
      }),
    );
  });

  test("tsv", () => {
    const plain = fc.string({ unit: fc.constantFrom("a", "é", " ", ",", '"', "\u2028") });
    fc.assert(
      fc.property(fc.array(fc.tuple(plain, plain), { minLength: 1 }), fc.constantFrom("\n", "\r\n"), (cells, end) => {
        const text = cells.map((row) => row.join("\t")).join(end);
        expect(rows(text, "tsv")).toEqual(cells.map((row, i) => [i + 1, ...row]));
      }),
    );
  });
});

describe("malformed rows [D1]", () => {
  const failures: [Format, string, number, RegExp][] = [
    ["csv", 'a,b\n"x\ny",2\n3,"4\n5,6\n', 4, /opened on line 4 is never closed/],
    ["csv", 'a,b\n1,"x\ny" z\n', 2, /opened on line 2 and closed on line 3/],
    ["csv", 'a,b\nx "y",2\n', 2, /quote stands inside an unquoted cell/],
    ["csv", "a,b\nx,\0\n", 2, /NUL/],
    ["tsv", "a\tb\n\0x\ty\n", 2, /NUL/],
    ["jsonl", '{"text":"a"}\n{"text":', 2, /not a JSON value/],
    ["jsonl", '["a","b"]\n', 1, /an array, expected an object/],
    ["jsonl", '\n"a"\n', 2, /a string/],
    ["trec", "5 a\nword\n", 2, /label, a space and a text/],
  ];
  for (const [format, text, line, reason] of failures) {
    test(`${format} ${JSON.stringify(text)} fails at line ${line}`, () => {
      expect(() => read(text, format)).toThrow(reason);
      expect(() => read(text, format)).toThrow(expect.objectContaining({ code: "BAD_ROW", where: `f:${line}` }));
      expect(read(text, format, {}, 1).bad).toEqual([{ line, reason: expect.stringMatching(reason) }]);
    });
  }

  test("reading goes on behind a row that was allowed to be bad", () => {
    const table = read('a,1\n"d\ne" x,4\nf,5\nb,"2\nc,3\n', "csv", {}, 2);
    expect(table.rows.map(({ line, cells }) => [line, cells[0]])).toEqual([
      [1, "a"],
      [4, "f"],
      [6, "c"],
    ]);
    expect(table.bad.map(({ line }) => line)).toEqual([2, 5]);
  });

  test("more cells than the header names are malformed, fewer are left to who uses them", () => {
    expect(() => read("x\ty\na\tb\tc\n", "tsv", { header: true })).toThrow(/3 columns, the header names 2/);
    expect(read("x\ty\na\n", "tsv", { header: true }).rows).toEqual([{ line: 2, cells: ["a"] }]);
  });

  test("one more than allowed stops the reading", () => {
    expect(() => read("[]\n[]\n[]\n", "jsonl", {}, 2)).toThrow(/f:3: .*2 bad rows were allowed/);
  });
});

describe("encodings [D2]", () => {
  const table = (data: Uint8Array, options: TableOptions = {}) => {
    const bad = new BadRows("f.tsv", 0);
    return rowsOf(readTable(data, "f.tsv", bad, { header: false, ...options })).map(({ cells }) => cells);
  };
  const latin1 = Uint8Array.from([0x61, 0x0a, 0x63, 0x61, 0x66, 0xe9, 0x20, 0x78]); // "a\ncafé x"

  test("a BOM is stripped", () => {
    expect(table(bytes("\ufeffa\tb\n"))).toEqual([["a", "b"]]);
    expect(table(Uint8Array.from([0xff, 0xfe, 0x61, 0x00]), { encoding: "utf-16le" })).toEqual([["a"]]);
  });

  test("what is not UTF-8 is refused with line, byte and a hint", () => {
    expect(() => table(latin1)).toThrow(/^f.tsv:2: not utf-8 at byte 5 \(0xe9\). Try --encoding latin1/);
    expect(() => table(latin1.subarray(0, 6))).toThrow(/byte 5 \(0xe9\)/);
    expect(() => table(Uint8Array.from([0xff, 0xfe, 0x61, 0x00]))).toThrow(/byte 0 .*utf-16le/);
    expect(() => table(Uint8Array.from([0x61, 0xed, 0xa0, 0x80]))).toThrow(/byte 1/); // a lone surrogate
  });

  test("a named encoding is read, an unknown one refused", () => {
    expect(table(latin1, { encoding: "latin1" })).toEqual([["a"], ["café x"]]);
    expect(() => table(latin1, { encoding: "klingon" })).toThrow(/"klingon"/);
  });

  test("the byte is the first that is in no whole character", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string(), (before, after) => {
        const prefix = bytes(before);
        const data = Uint8Array.from([...prefix, 0xff, ...bytes(after)]);
        const line = before.split("\n").length;
        expect(() => table(data)).toThrow(`f.tsv:${line}: not utf-8 at byte ${prefix.length} (0xff)`);
      }),
    );
  });
});

test("the format comes from the name, or must be told", () => {
  const columns = (file: string) => rowsOf(readTable(bytes("a,b\tc\n"), file, new BadRows(file, 0)))[0].cells;
  expect(columns("x.TSV")).toEqual(["a,b", "c"]);
  expect(columns("x.csv")).toEqual(["a", "b\tc"]);
  expect(() => columns("x.json")).toThrow(/JSON/);
  expect(() => columns("dir.csv/x")).toThrow(/--format tsv\|csv\|jsonl\|lines\|trec/);
});
