// What a page has of files, as the library takes them. They cross to the worker as they are: a File is a handle, whose bytes are read when they
// are asked for.

import { InputError } from "../errors.ts";
import { type Files, fileEnds, readOnlyFiles } from "../formats/files.ts";
import { handleFiles } from "../runtimes/handleFiles.ts";
import type { DataSource, FolderSource } from "../train/session.ts";

type Bytes = ArrayBuffer | Uint8Array;

/**
 * A folder: the files of an <input webkitdirectory> or of a drop, a handle (of the origin's own storage, or one that the user chose), contents by
 * name, a URL, hf:org/model, or opfs:NAME, a folder of the origin's own storage.
 */
export type WebFolder =
  | string
  | FileList
  | readonly File[]
  | FileSystemDirectoryHandle
  | Readonly<Record<string, Blob | Bytes | string>>;

/** A file of examples: as it is, its name and bytes, or a URL. */
export type WebFile = string | File | { readonly name: string; readonly bytes: Bytes };

const FOLDERS = [
  "model",
  "teacher",
  "student",
  "initFrom",
  "augmentationModel",
  "textTeacher",
  "tokenizer",
  "cache",
  "out",
] as const;
const FILES = ["train", "eval", "text", "evalText", "embeddings", "augmentationVectors"] as const;

type FolderKey = (typeof FOLDERS)[number];
type FileKey = (typeof FILES)[number];

/** Options of the library, with a page's files in the place of its own. */
export type WebOptions<O> = {
  [K in keyof O]: K extends "teacher"
    ? WebFolder | readonly Exclude<WebFolder, readonly File[]>[]
    : K extends FolderKey
      ? WebFolder
      : K extends "text"
        ? WebFile | readonly WebFile[]
        : K extends FileKey
          ? WebFile
          : K extends "device"
            ? Extract<O[K], string | undefined>
            : O[K];
};

const isBlob = (x: unknown): x is Blob => x instanceof Blob;
const isHandle = (x: unknown): x is FileSystemDirectoryHandle =>
  typeof FileSystemDirectoryHandle !== "undefined" && x instanceof FileSystemDirectoryHandle;

/** Options as they came from the page, for the library. */
export function withFiles(options: object): object {
  const folders = (value: unknown) =>
    Array.isArray(value) && !value.every(isBlob) ? value.map((one) => folderOf(one)) : folderOf(value as WebFolder);
  const files = async (value: unknown) =>
    Array.isArray(value) ? Promise.all(value.map(fileOf)) : fileOf(value as WebFile);
  const entries = Object.entries(options).map(async ([key, value]) => {
    if (value === undefined) return [key, value];
    if (FOLDERS.includes(key as FolderKey)) return [key, folders(value)];
    return [key, FILES.includes(key as FileKey) ? await files(value) : value];
  });
  return Promise.all(entries).then(Object.fromEntries);
}

export function folderOf(source: WebFolder): FolderSource {
  if (typeof source === "string") return source;
  if (isHandle(source)) return handleFiles(source);
  if (source instanceof FileList || Array.isArray(source)) return blobFiles(ofTop([...(source as Iterable<File>)]));
  const contents = Object.entries(source).map(([name, content]): [string, Blob] => [
    name,
    isBlob(content) ? content : new Blob([typeof content === "string" ? content : bytesOf(content)]),
  ]);
  return blobFiles(new Map(contents));
}

export async function fileOf(source: WebFile): Promise<DataSource> {
  if (typeof source === "string") return source;
  if (isBlob(source)) return { name: source.name, bytes: new Uint8Array(await source.arrayBuffer()) };
  return { name: source.name, bytes: bytesOf(source.bytes) };
}

const bytesOf = (bytes: Bytes) =>
  (bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)) as Uint8Array<ArrayBuffer>;

/** Of a folder that the user chose, the files in it and none of its folders. */
function ofTop(files: readonly File[]): Map<string, File> {
  const depth = ({ webkitRelativePath = "" }: File) => webkitRelativePath.split("/").length;
  const least = Math.min(...files.map(depth));
  const top = new Map<string, File>();
  for (const file of files) {
    if (depth(file) > least) continue;
    if (top.has(file.name))
      throw new InputError("NAME_TAKEN", "two files have this name; give those of one folder.", { where: file.name });
    top.set(file.name, file);
  }
  return top;
}

function blobFiles(blobs: ReadonlyMap<string, Blob>): Files {
  const folder = "files";
  const found = (name: string): Blob => {
    const blob = blobs.get(name);
    if (blob) return blob;
    throw new InputError("FILE_NOT_FOUND", "there is no such file.", { where: `${folder}/${name}` });
  };
  const read = async (blob: Blob, name: string) => {
    try {
      return new Uint8Array(await blob.arrayBuffer());
    } catch (cause) {
      // A File is what was chosen: once it is changed or removed, it cannot be read any more.
      throw new InputError("FILE_CHANGED", "the file changed since it was chosen; choose it again.", {
        ...{ where: `${folder}/${name}`, cause },
      });
    }
  };
  return {
    ...readOnlyFiles(
      folder,
      async (name) => read(found(name), name),
      async (name) => blobs.get(name)?.size,
    ),
    list: async () => [...blobs.keys()].sort(),
    async open(name) {
      const blob = found(name);
      const part = async (from: number, length: number) => {
        if (from + length > blob.size) throw fileEnds(blob.size, `${folder}/${name}`);
        return read(blob.slice(from, from + length), name);
      };
      return { size: blob.size, read: part, close: async () => {} };
    },
  };
}

/** What lies in a folder of memory, for the page. */
export async function filesOf(files: Files): Promise<File[]> {
  const names = await files.list();
  return Promise.all(names.map(async (name) => new File([(await files.read(name)) as Uint8Array<ArrayBuffer>], name)));
}
