// A folder on disk through node:fs (Node, Deno and Bun have it). Only plain files are opened, symbolic links may not
// lead out of the folder. Files and folders appear under their name when they are whole and on the disk: written aside, synced, renamed, and
// then the folder synced that has the name. (A rename before the sync of what it names is what a loss of power turns into an empty file.)
import { randomUUID } from "node:crypto";
import * as system from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { InputError, LimbeckError } from "../errors.ts";
import { checkBasename, chunksOf, type Files, fileEnds, type OpenFile, outputExists } from "../formats/files.ts";

/** What is asked of the file system. */
export type Disk = Pick<typeof system, "lstat" | "mkdir" | "open" | "readdir" | "realpath" | "rename" | "rm" | "stat"> &
  Partial<Pick<typeof system, "statfs">>;

export function nodeFiles(folder: string, disk: Disk = system): Files {
  return folderAt(resolve(folder), folder, disk);
}

/** A file by its path, anywhere: what the user names on the command line. */
export async function readPath(path: string): Promise<Uint8Array> {
  try {
    const found = await system.stat(path);
    if (!found.isFile()) throw new InputError("NOT_A_FILE", "expected a plain file.", { where: path });
    return await system.readFile(path);
  } catch (error) {
    throw error instanceof LimbeckError ? error : explain(error, path);
  }
}

/** `root` is where the folder lies, `folder` what messages call it. A draft is synced as a whole. */
function folderAt(root: string, folder: string, disk: Disk, draft = false): Files {
  const { lstat, mkdir, open, readdir, realpath, rename, rm, stat } = disk;
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

  async function entriesOf() {
    if (await isFolder(root, folder, disk)) return readdir(root, { withFileTypes: true });
    throw new InputError("FOLDER_NOT_FOUND", "there is no such folder.", { where: folder });
  }

  return {
    folder,

    exists: () => attempt(folder, () => isFolder(root, folder, disk)),

    list: () =>
      attempt(folder, async () => {
        const entries = await entriesOf();
        return entries
          .filter((entry) => entry.isFile() || entry.isSymbolicLink())
          .map((entry) => entry.name)
          .sort();
      }),

    folders: () =>
      attempt(folder, async () => {
        const entries = await entriesOf();
        return entries
          .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
          .map((entry) => entry.name)
          .sort();
      }),

    sub: (name) => folderAt(join(root, checkBasename(name, folder)), at(name), disk),

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

    remove: (name) =>
      attempt(at(name), async () => {
        await rm(join(root, name));
        await syncFolder(root, disk);
      }),

    write: (name, content) =>
      attempt(at(name), async () => {
        const partial = join(root, `.${name}.${randomUUID()}.partial`);
        const handle = await open(partial, "wx");
        try {
          try {
            for await (const chunk of chunksOf(content)) await writeAll(handle, chunk);
            await handle.sync();
          } finally {
            await handle.close();
          }
          await rename(partial, join(root, name));
          if (!draft) await syncFolder(root, disk);
        } catch (error) {
          await rm(partial, { force: true });
          throw error;
        }
      }),

    create: (fill) =>
      attempt(folder, async () => {
        if (await isFolder(root, folder, disk)) throw outputExists(folder);
        const home = dirname(root);
        const first = await mkdir(home, { recursive: true });
        const partial = join(home, `.${basename(root)}.${randomUUID()}.partial`);
        await mkdir(partial);
        try {
          await fill(folderAt(partial, folder, disk, true));
          await syncFolder(partial, disk);
          // Takes no name that a folder with something in it has.
          await rename(partial, root);
        } catch (error) {
          await rm(partial, { recursive: true, force: true });
          throw error;
        }
        for (let made = home; ; made = dirname(made)) {
          await syncFolder(made, disk);
          if (!first || made === dirname(first)) break;
        }
      }),

    discard: () =>
      attempt(folder, async () => {
        const aside = join(dirname(root), `.${basename(root)}.${randomUUID()}.old`);
        await rename(root, aside);
        await syncFolder(dirname(root), disk);
        await rm(aside, { recursive: true, force: true });
      }),

    async free() {
      const found = await disk.statfs?.(root).catch(() => undefined);
      // File systems that do not tell say 0 of 0.
      return found && found.blocks > 0 ? found.bavail * found.bsize : undefined;
    },

    tidy: () =>
      attempt(folder, async () => {
        const inside = (await entriesOf()).filter(({ name }) => LEFT.test(name)).map(({ name }) => join(root, name));
        // And what was to become this folder, or had been.
        const home = dirname(root);
        const beside = (await readdir(home)).filter((name) => LEFT.exec(name)?.[1] === basename(root));
        for (const path of [...inside, ...beside.map((name) => join(home, name))])
          await rm(path, { recursive: true, force: true });
      }),
  };
}

/** What an interrupted write, create or discard leaves behind. */
const LEFT = /^\.(.+)\.[0-9a-f-]{36}\.(partial|old)$/;

/** Entries of a folder are on the disk after this. Windows has no such call, and needs none. */
async function syncFolder(path: string, { open }: Disk): Promise<void> {
  const handle = await open(path, "r").catch((error) => {
    if (["EISDIR", "EPERM", "EACCES"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  });
  try {
    await handle?.sync();
  } catch (error) {
    if (!["EPERM", "EINVAL", "ENOTSUP"].includes(codeOf(error) ?? "")) throw error;
  } finally {
    await handle?.close();
  }
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

async function isFolder(root: string, where: string, { stat }: Disk): Promise<boolean> {
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
