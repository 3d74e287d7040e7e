// A folder of files as the formats see it, and as runs are kept in: a handful of functions that a runtime implements, and the
// in-memory one. Names are plain basenames, so that nothing written inside a file can lead out of the folder.
// What was written, made or removed is on the disk when the promise resolves: a loss of power takes nothing back.
import type { ErrorCode } from "../errorCodes.ts";
import { InputError } from "../errors.ts";

export type Content = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** A file that stays open, to be read in parts. */
export interface OpenFile {
  readonly size: number;
  /** So many bytes from there on. */
  read(at: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface Files {
  /** What messages call the folder. */
  readonly folder: string;
  exists(): Promise<boolean>;
  /** Basenames of the plain files, sorted. */
  list(): Promise<string[]>;
  /** Basenames of the folders in this one, sorted. */
  folders(): Promise<string[]>;
  /** A folder in this one; whether it exists is asked later. */
  sub(name: string): Files;
  /** Bytes, or undefined when there is no such file. */
  size(name: string): Promise<number | undefined>;
  read(name: string): Promise<Uint8Array>;
  open(name: string): Promise<OpenFile>;
  remove(name: string): Promise<void>;
  /** Replaces the file as a whole: a reader sees the old bytes or the new ones. */
  write(name: string, content: Content): Promise<void>;
  /**
   * Makes the folder: `fill` writes to a temporary one, which takes the name when `fill` has succeeded. Of several that try at once one
   * succeeds.
   */
  create(fill: (files: Files) => Promise<void>): Promise<void>;
  /** Removes the folder and what is in it. A reader sees all of it or nothing. */
  discard(): Promise<void>;
  /** Bytes that may still be written here, where that is known. */
  free?(): Promise<number | undefined>;
  /** Removes what writers left that were interrupted. Only for who owns the folder: it would take the files of others from under their hands. */
  tidy(): Promise<void>;
  /** What the user should hear of where the files come from. */
  notes?(): readonly string[];
  /** Takes the folder for this run alone, where the host has locks of its own; returns how to let it go, undefined where another has it. */
  hold?(): Promise<(() => void | Promise<void>) | undefined>;
}

/** Refuses whatever is not a plain file name: separators, drive letters, "..", hidden files. */
export function checkBasename(name: string, where: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(name)) return name;
  throw new InputError(
    "UNSAFE_FILE_NAME",
    `${quote(name)} is not a plain file name (letters, digits, dot, dash, underscore); files outside the folder are never opened.`,
    { where },
  );
}

export function outputExists(where: string): InputError {
  return new InputError(
    "OUTPUT_EXISTS",
    "this folder exists already; name another one, allow --overwrite, or go on with the run in it: --resume.",
    {
      where,
    },
  );
}

export function fileEnds(at: number, where: string): InputError {
  return new InputError("FILE_CHANGED", `the file ends at byte ${at}, where more was expected; did it change?`, {
    where,
  });
}

/** A folder that lives in memory. Without contents it does not exist yet. */
export function memoryFiles(contents?: Record<string, string | Uint8Array>, folder = "memory"): Files {
  let entries: Map<string, Uint8Array> | undefined;
  const subs = new Map<string, Files>();
  if (contents) entries = new Map(Object.entries(contents).map(([name, data]) => [name, toBytes(data)]));

  const at = (name: string) => `${folder}/${checkBasename(name, folder)}`;
  const opened = () => {
    if (entries) return entries;
    throw new InputError("FOLDER_NOT_FOUND", "there is no such folder.", { where: folder });
  };
  const found = (name: string) => {
    const where = at(name);
    const bytes = opened().get(name);
    if (!bytes) throw new InputError("FILE_NOT_FOUND", "there is no such file.", { where });
    return bytes;
  };
  return {
    folder,
    exists: async () => entries !== undefined,
    list: async () => [...opened().keys()].sort(),
    async folders() {
      opened();
      const found: string[] = [];
      for (const [name, files] of subs) if (await files.exists()) found.push(name);
      return found.sort();
    },
    sub(name) {
      const files = subs.get(name) ?? memoryFiles(undefined, at(name));
      subs.set(name, files);
      return files;
    },
    async size(name) {
      at(name);
      return opened().get(name)?.length;
    },
    async read(name) {
      return found(name).slice();
    },
    async open(name) {
      const bytes = found(name);
      const read = async (from: number, length: number) => {
        if (from + length > bytes.length) throw fileEnds(bytes.length, at(name));
        return bytes.slice(from, from + length);
      };
      return { size: bytes.length, read, close: async () => {} };
    },
    async remove(name) {
      found(name);
      opened().delete(name);
    },
    async write(name, content) {
      at(name);
      const bytes = await collect(content);
      opened().set(name, bytes);
    },
    async create(fill) {
      if (entries) throw outputExists(folder);
      const draft = memoryFiles({}, folder);
      await fill(draft);
      const made = new Map<string, Uint8Array>();
      for (const name of await draft.list()) made.set(name, await draft.read(name));
      if (entries) throw outputExists(folder);
      entries = made;
    },
    async discard() {
      entries = undefined;
      subs.clear();
    },
    tidy: async () => {},
  };
}

/** A folder that others keep, of which files are read by name. */
export function readOnlyFiles(
  folder: string,
  read: (name: string) => Promise<Uint8Array>,
  size: (name: string) => Promise<number | undefined>,
): Files {
  const no = (): never => {
    throw new InputError("READ_ONLY_FOLDER", "here files are only read; name a folder that can be written.", {
      where: folder,
    });
  };
  return {
    folder,
    exists: async () => true,
    list: async () => no(),
    folders: async () => no(),
    sub: no,
    size,
    read,
    async open(name) {
      const bytes = await read(name);
      const part = async (from: number, length: number) => {
        if (from + length > bytes.length) throw fileEnds(bytes.length, `${folder}/${name}`);
        return bytes.slice(from, from + length);
      };
      return { size: bytes.length, read: part, close: async () => {} };
    },
    remove: async () => no(),
    write: async () => no(),
    create: async () => no(),
    discard: async () => no(),
    tidy: async () => no(),
  };
}

async function collect(content: Content): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(content)) chunks.push(chunk.slice());
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

export function chunksOf(content: Content): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  return content instanceof Uint8Array ? [content] : content;
}

export function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : data;
}

/** A text file as strict UTF-8, without its byte-order mark. */
export async function readText(files: Files, name: string): Promise<string> {
  const bytes = await files.read(name);
  const where = `${files.folder}/${name}`;
  refuseLfsPointer(bytes, where);
  return decodeUtf8(bytes, where, "NOT_UTF8");
}

export function decodeUtf8(bytes: Uint8Array, where: string, code: ErrorCode, keepMark = false): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: keepMark }).decode(bytes);
  } catch {
    throw new InputError(code, `not UTF-8 at byte ${firstBadByte(bytes)}; save the file as UTF-8.`, { where });
  }
}

/** Where decoding fails: the shortest prefix that a streaming decoder refuses ends there. */
function firstBadByte(bytes: Uint8Array): number {
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return bad - 1;
}

/** A clone without git-LFS leaves a text of about 130 bytes in place of each large file: the commonest fault of all. */
export function refuseLfsPointer(bytes: Uint8Array, where: string): void {
  if (bytes.length > 1024) return;
  const text = new TextDecoder("latin1").decode(bytes);
  if (!text.startsWith("version https://git-lfs.github.com/spec/")) return;
  const size = /^size (\d{1,15})$/m.exec(text)?.[1];
  const oid = /^oid (sha256:[0-9a-f]{64})$/m.exec(text)?.[1];
  throw new InputError(
    "LFS_POINTER",
    `this is a git-LFS pointer of ${bytes.length} bytes, not the file of ${size ? formatCount(Number(size)) : "unknown"} bytes ` +
      `that it stands for${oid ? ` (${oid})` : ""}; run "git lfs pull" in that clone, or download the file itself.`,
    { where },
  );
}

/** 90868376 → "90,868,376". */
export function formatCount(count: number | bigint): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Text from a file in a message: quoted, escaped, and short. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}
