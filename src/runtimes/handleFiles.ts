// A folder behind a FileSystemDirectoryHandle: of the origin's own storage (OPFS), or one that the user chose. Files take their name when they are
// whole, by a move. Folders cannot be moved: one is not there for readers as long as `.NAME.partial` is beside it, so that file comes first and goes
// last when a folder is made, and is the first thing when one is removed.

import { InputError, LimbeckError } from "../errors.ts";
import { checkBasename, chunksOf, type Files, fileEnds, outputExists } from "../formats/files.ts";

type Handle = FileSystemDirectoryHandle;
/** In browsers since 2023; TypeScript's declarations lack it. */
type Movable = FileSystemFileHandle & { move?(name: string): Promise<void> };
/** Open, for one writer: a file of its own, which is not to be seen. */
const LOCK = ".lock";

/** Where a folder is: a handle, or a name in another. `make` makes what is missing on the way. */
interface Place {
  readonly parent?: Place;
  readonly name: string;
  handle(make?: boolean): Promise<Handle | undefined>;
}

export function handleFiles(handle: Handle): Files {
  return folderAt({ name: handle.name, handle: async () => handle }, handle.name);
}

/** `opfs:a/b`, a folder of the origin's own storage. */
export function opfsFiles(source: string): Files {
  const root: Place = {
    name: "",
    async handle() {
      try {
        return await navigator.storage.getDirectory();
      } catch (cause) {
        throw new InputError(
          "NO_STORAGE",
          "this page has no storage of its own: it has none without https, nor in some private windows. Leave the folder out: the student then comes as files.",
          { where: source, cause },
        );
      }
    },
  };
  const names = source
    .slice(source.indexOf(":") + 1)
    .split("/")
    .filter(Boolean);
  if (names.length === 0)
    throw new InputError("UNSAFE_FILE_NAME", "expected the name of a folder: opfs:NAME.", { where: source });
  return folderAt(
    names.reduce((parent, name) => child(parent, checkBasename(name, source)), root),
    source,
  );
}

const marker = (name: string) => `.${name}.partial`;

function child(parent: Place, name: string): Place {
  return {
    ...{ parent, name },
    async handle(make) {
      const home = await parent.handle(make);
      return home && found(home.getDirectoryHandle(name, { create: make === true }));
    },
  };
}

/** What is there; undefined where nothing of the name is. */
function found<T>(looked: Promise<T>): Promise<T | undefined> {
  return looked.catch((error) => {
    if (error.name === "NotFoundError") return undefined;
    throw error;
  });
}

const gone = (home: Handle, name: string) => found(home.removeEntry(name, { recursive: true }));

function folderAt(place: Place, folder: string, draft = false): Files {
  const { parent, name: own } = place;
  const at = (name: string) => `${folder}/${checkBasename(name, folder)}`;
  const attempt = async <T>(where: string, action: () => Promise<T>): Promise<T> => {
    try {
      return await action();
    } catch (error) {
      throw error instanceof LimbeckError ? error : await explain(error, where);
    }
  };
  const opened = async (): Promise<Handle> => {
    const handle = await place.handle();
    if (handle) return handle;
    throw new InputError("FOLDER_NOT_FOUND", "there is no such folder.", { where: folder });
  };
  const fileOf = async (name: string) => found((await opened()).getFileHandle(name));
  const exists = async (): Promise<boolean> => {
    const handle = await place.handle();
    if (!handle) return false;
    // One that the user chose is there; while nothing is to be seen in it, it is as good as one to be made.
    if (!parent) return (await entriesOf(handle)).some(isSeen);
    const home = await parent.handle();
    return draft || !(home && (await found(home.getFileHandle(marker(own)))));
  };
  const names = async (kind: FileSystemHandleKind) => {
    if (!(await exists()) && parent)
      throw new InputError("FOLDER_NOT_FOUND", "there is no such folder.", { where: folder });
    const entries = await entriesOf(await opened());
    const all = new Set(entries.map(({ name }) => name));
    return entries
      .filter((entry) => entry.kind === kind && isSeen(entry) && !all.has(marker(entry.name)))
      .map(({ name }) => name)
      .sort();
  };
  const read = async (name: string): Promise<File> => {
    const file = await fileOf(name);
    if (!file) throw new InputError("FILE_NOT_FOUND", "there is no such file.", { where: at(name) });
    return file.getFile();
  };
  const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

  return {
    folder,
    exists: () => attempt(folder, exists),
    list: () => attempt(folder, () => names("file")),
    folders: () => attempt(folder, () => names("directory")),
    sub: (name) => folderAt(child(place, checkBasename(name, folder)), at(name)),
    size: (name) => attempt(at(name), async () => (await (await fileOf(name))?.getFile())?.size),
    read: (name) => attempt(at(name), async () => bytesOf(await read(name))),
    open: (name) =>
      attempt(at(name), async () => {
        const file = await read(name);
        const part = (from: number, length: number) =>
          attempt(at(name), async () => {
            if (from + length > file.size) throw fileEnds(file.size, at(name));
            return bytesOf(file.slice(from, from + length));
          });
        return { size: file.size, read: part, close: async () => {} };
      }),
    remove: (name) => attempt(at(name), async () => (await opened()).removeEntry(name)),
    write: (name, content) =>
      attempt(at(name), async () => {
        const home = await opened();
        const partial = partOf(name);
        const file = await home.getFileHandle(partial, { create: true });
        try {
          const out = await file.createWritable();
          try {
            for await (const chunk of chunksOf(content)) await out.write(unshared(chunk));
          } catch (error) {
            await out.abort();
            throw error;
          }
          await out.close();
          await rename(file, name);
        } catch (error) {
          await gone(home, partial).catch(() => {});
          throw error;
        }
      }),
    create: (fill) =>
      attempt(folder, async () =>
        alone(folder, async () => {
          if (await exists()) throw outputExists(folder);
          if (!parent) return fill(folderAt(place, folder, true));
          const home = (await parent.handle(true)) as Handle;
          await home.getFileHandle(marker(own), { create: true });
          try {
            // Of one that was interrupted.
            await gone(home, own);
            await home.getDirectoryHandle(own, { create: true });
            await fill(folderAt(place, folder, true));
          } catch (error) {
            await gone(home, own);
            await gone(home, marker(own));
            throw error;
          }
          await gone(home, marker(own));
        }),
      ),
    discard: () =>
      attempt(folder, async () => {
        const home = await opened();
        if (!parent) {
          for (const entry of await entriesOf(home)) if (isSeen(entry)) await gone(home, entry.name);
          return;
        }
        const beside = (await parent.handle()) as Handle;
        await beside.getFileHandle(marker(own), { create: true });
        await beside.removeEntry(own, { recursive: true });
        await gone(beside, marker(own));
      }),
    tidy: () =>
      attempt(folder, async () => {
        const home = await opened();
        for (const { name } of await entriesOf(home)) {
          // Chromium writes into .crswap files beside those that a user chose.
          const marked = /^\.(.+)\.partial(\.crswap)?$/.exec(name)?.[1];
          if (marked === undefined) continue;
          await gone(home, marked);
          await gone(home, name);
        }
      }),
    hold: () =>
      attempt(folder, async () => {
        const home = await opened();
        // The same folder may come as a name, as a handle of the origin's own storage, or as one that the user chose.
        const root = await navigator.storage.getDirectory().catch(() => undefined);
        const path = await root?.resolve(home);
        return path ? hold(`limbeck run opfs:${path.join("/")}`) : holdChosen(home);
      }),
  };
}

/** Hidden files are the system's, the user's, or unfinished. */
const isSeen = ({ name }: FileSystemHandle) => !name.startsWith(".");

const partOf = (name: string) => `.${name}.${crypto.randomUUID()}.partial`;

async function rename(file: Movable, name: string): Promise<void> {
  const refused = (why: string, cause?: unknown) =>
    new LimbeckError(
      "IO_ERROR",
      `this browser cannot rename files there (${why}); use a newer one, or leave the folder out: the student then comes as files.`,
      { cause },
    );
  if (!file.move) throw refused("it has no FileSystemFileHandle.move");
  await file.move(name).catch((error) => {
    throw isRefusal(error) ? error : refused(`${error.name}: ${error.message}`, error);
  });
}

async function entriesOf(handle: Handle): Promise<FileSystemHandle[]> {
  const found: FileSystemHandle[] = [];
  for await (const entry of handle.values()) found.push(entry);
  return found;
}

/** Of those that make a folder at once, tabs included, one does. */
function alone<T>(folder: string, action: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(`limbeck create ${folder}`, action) : action();
}

/** Until it is let go, or the tab or worker ends. undefined: another has it. */
function hold(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (lock) return new Promise<void>((release) => resolve(release));
        resolve(undefined);
      })
      .catch(reject);
  });
}

/**
 * A folder that the user chose has no name that other tabs would know it by: a file in it that is open for one writer alone, until that closes
 * it or ends. That a run can write and rename there is thereby known before its first step.
 */
async function holdChosen(home: Handle): Promise<(() => Promise<void>) | undefined> {
  const partial = partOf("lock");
  const file = await home.getFileHandle(partial, { create: true });
  try {
    await rename(file, LOCK);
    const out = await file.createWritable({ mode: "exclusive" } as FileSystemCreateWritableOptions);
    return async () => {
      await out.abort();
      await gone(home, LOCK);
    };
  } catch (error) {
    await gone(home, partial).catch(() => {});
    if ((error as Error).name === "NoModificationAllowedError") return undefined;
    throw error;
  }
}

/** Streams refuse views of shared memory. */
function unshared(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  return chunk.buffer instanceof ArrayBuffer ? (chunk as Uint8Array<ArrayBuffer>) : new Uint8Array(chunk);
}

const isRefusal = ({ name }: Error) =>
  ["NoModificationAllowedError", "NotAllowedError", "SecurityError", "QuotaExceededError"].includes(name);

async function explain(error: unknown, where: string): Promise<LimbeckError> {
  const { name, message } = error as Error;
  const options = { where, cause: error };
  switch (name) {
    case "NotFoundError":
      return new InputError("FILE_NOT_FOUND", "there is no such file or folder.", options);
    case "TypeMismatchError":
      return new InputError("NOT_A_FOLDER", "a file stands where a folder was expected, or the other way.", options);
    case "NoModificationAllowedError":
      return new InputError("PERMISSION_DENIED", `another tab or worker has this open (${message}).`, options);
    case "NotAllowedError":
    case "SecurityError":
      return new InputError(
        "PERMISSION_DENIED",
        `the user has not allowed this page as much (${message}); choose the folder with showDirectoryPicker({ mode: "readwrite" }), or "read" where that does, or await its handle.requestPermission({ mode: "readwrite" }) on a click.`,
        options,
      );
    case "QuotaExceededError": {
      const { usage = 0, quota = 0 } = await navigator.storage.estimate().catch(() => ({}) as StorageEstimate);
      const megabytes = (n: number) => `${Math.round(n / 1e6)} MB`;
      return new LimbeckError(
        "DISK_FULL",
        `the browser lets this page keep ${megabytes(quota)}, of which ${megabytes(usage)} are used; remove old runs, or leave the folder out: the student then comes as files. Nothing half-written was kept.`,
        options,
      );
    }
    default:
      return new LimbeckError("IO_ERROR", `${name}: ${message}`, options);
  }
}
