// A folder on disk through node:fs (Node, Deno and Bun have it). Only plain files are opened, symbolic links may not
// lead out of the folder, files and folders appear under their name when they are whole.
import { randomUUID } from "node:crypto";
import { lstat, mkdir, open, readdir, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { InputError, LimbeckError } from "../errors.ts";
import { checkBasename, chunksOf, type Files, fileEnds, type OpenFile, outputExists } from "../formats/files.ts";

export function nodeFiles(folder: string): Files {
  return folderAt(resolve(folder), folder);
}

/** A file by its path, anywhere: what the user names on the command line. */
export async function readPath(path: string): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new InputError("NOT_A_FILE", "expected a plain file.", { where: path });
    return await readFile(path);
  } catch (error) {
    throw error instanceof LimbeckError ? error : explain(error, path);
  }
}

/** `root` is where the folder lies, `folder` what messages call it. */
function folderAt(root: string, folder: string): Files {
  const at = (name: string) => `${folder}/${checkBasename(name, folder)}`;
  const attempt = async <T>(where: string, action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      throw error instanceof LimbeckError ? error : explain(error, where);
    }
  };

  /** The real path of a file, or undefined; checked before it is opened, so that no device or pipe is touched. */
  async function locate(name: string): Promise<{ path: string; size: number } | undefined> {
    const where = at(name);
    const path = join(root, name);
    try {
      await lstat(path);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
    const home = await realpath(root);
    const target = await realpath(path);
    if (!isInside(home, target) && dirname(target) !== blobsOf(home)) {
      throw new InputError("LINK_LEAVES_FOLDER", "this symbolic link leads out of the folder; copy the file there.", {
        where,
      });
    }
    const found = await stat(target);
    if (!found.isFile()) throw new InputError("NOT_A_FILE", "expected a plain file.", { where });
    return { path: target, size: found.size };
  }

  async function openFile(name: string): Promise<OpenFile> {
    const where = at(name);
    const found = await locate(name);
    if (!found) throw new InputError("FILE_NOT_FOUND", "there is no such file.", { where });
    const handle = await open(found.path, "r");
    const read = (from: number, length: number) =>
      attempt(where, async () => {
        const bytes = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 30), from + done);
          if (bytesRead === 0) throw fileEnds(from + done, where);
          done += bytesRead;
        }
        return bytes;
      });
    return { size: found.size, read, close: () => handle.close() };
  }

  return {
    folder,

    exists: () => attempt(folder, () => isFolder(root, folder)),

    list: () =>
      attempt(folder, async () => {
        if (!(await isFolder(root, folder))) {
          throw new InputError("FOLDER_NOT_FOUND", "there is no such folder.", { where: folder });
        }
        const entries = await readdir(root, { withFileTypes: true });
        return entries
          .filter((entry) => entry.isFile() || entry.isSymbolicLink())
          .map((entry) => entry.name)
          .sort();
      }),

    size: (name) => attempt(at(name), async () => (await locate(name))?.size),

    read: (name) =>
      attempt(at(name), async () => {
        const file = await openFile(name);
        try {
          return await file.read(0, file.size);
        } finally {
          await file.close();
        }
      }),

    open: (name) => attempt(at(name), () => openFile(name)),

    remove: (name) => attempt(at(name), () => rm(join(root, name))),

    write: (name, content) =>
      attempt(at(name), async () => {
        const partial = join(root, `.${name}.${randomUUID()}.partial`);
        const handle = await open(partial, "wx");
        try {
          try {
            for await (const chunk of chunksOf(content)) await writeAll(handle, chunk);
          } finally {
            await handle.close();
          }
          await rename(partial, join(root, name));
        } catch (error) {
          await rm(partial, { force: true });
          throw error;
        }
      }),

    create: (fill, options = {}) =>
      attempt(folder, async () => {
        const exists = await isFolder(root, folder);
        if (exists && !options.overwrite) throw outputExists(folder);
        const target = exists ? await realpath(root) : root;
        if (exists) await checkReplaceable(target, folder);
        const draft = join(dirname(target), `.${basename(target)}.${randomUUID()}.partial`);
        await mkdir(dirname(target), { recursive: true });
        await mkdir(draft);
        try {
          await fill(folderAt(draft, folder));
          if (exists) await exchange(draft, target);
          else await rename(draft, target);
        } catch (error) {
          await rm(draft, { recursive: true, force: true });
          throw error;
        }
      }),
  };
}

/** write(2) may take less than it was given; a return of nothing would loop for ever. */
export async function writeAll(
  handle: { write(chunk: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }> },
  chunk: Uint8Array,
): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done, Math.min(chunk.length - done, 1 << 30));
    if (bytesWritten === 0) throw new LimbeckError("WRITE_STALLED", "the system accepted no more bytes.");
    done += bytesWritten;
  }
}

/** A directory cannot be swapped in one step: the old one steps aside, and comes back if the new one fails. */
async function exchange(draft: string, target: string): Promise<void> {
  const old = join(dirname(target), `.${basename(target)}.${randomUUID()}.old`);
  await rename(target, old);
  try {
    await rename(draft, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}

/** --overwrite with a mistyped path must not delete somebody's documents. */
async function checkReplaceable(root: string, where: string): Promise<void> {
  const entries = await readdir(root, { withFileTypes: true });
  const foreign = entries.find((entry) => !entry.isFile());
  const isModel = entries.length === 0 || entries.some((entry) => entry.name === "config.json");
  if (isModel && !foreign) return;
  const reason = foreign ? `holds ${foreign.name}, which is no plain file` : "has files but no config.json";
  throw new InputError(
    "NOT_REPLACEABLE",
    `not a model folder: it ${reason}. Remove it yourself, or name another one.`,
    {
      where,
    },
  );
}

async function isFolder(root: string, where: string): Promise<boolean> {
  try {
    if ((await stat(root)).isDirectory()) return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
  throw new InputError("NOT_A_FOLDER", "expected a folder, found a file.", { where });
}

function isInside(home: string, target: string): boolean {
  const path = relative(home, target);
  return path !== "" && path !== ".." && !path.startsWith("../") && !path.startsWith("..\\") && !isAbsolute(path);
}

/** Hugging Face's cache keeps snapshots/<commit>/config.json as a link to ../../blobs/<hash>: the one way out. */
function blobsOf(home: string): string | undefined {
  const snapshots = dirname(home);
  return basename(snapshots) === "snapshots" ? join(dirname(snapshots), "blobs") : undefined;
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | null)?.code;
}

function explain(error: unknown, where: string): LimbeckError {
  const options = { where, cause: error };
  switch (codeOf(error)) {
    case "ENOENT":
      return new InputError("FILE_NOT_FOUND", "there is no such file or folder.", options);
    case "ENOTDIR":
      return new InputError("NOT_A_FOLDER", "a part of this path is a file, not a folder.", options);
    case "ELOOP":
      return new InputError("LINK_LEAVES_FOLDER", "symbolic links run in a circle.", options);
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new InputError("PERMISSION_DENIED", `the system refuses access (${codeOf(error)}).`, options);
    case "EEXIST":
    case "ENOTEMPTY":
      return new InputError("OUTPUT_EXISTS", "something of this name appeared meanwhile.", options);
    case "ENOSPC":
    case "EDQUOT":
      return new LimbeckError("DISK_FULL", "no space is left on the disk; nothing half-written was kept.", options);
    default:
      return new LimbeckError("IO_ERROR", error instanceof Error ? error.message : String(error), options);
  }
}
