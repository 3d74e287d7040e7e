// A file system in memory that fails when it is told to, as SQLite's test harness does it: operation k and all behind it fail, as if the process
// had been killed. A process that dies leaves what it wrote; with a loss of power goes what was not synced: of every folder the last entries
// that were made, renamed or removed, and of every file what was written since, torn at any byte or zeros in its place.

import type { Disk } from "../../src/runtimes/nodeFiles.ts";

interface File {
  data: Uint8Array;
  /** What was synced. */
  durable: Uint8Array;
  dirty: boolean;
}

interface Folder {
  readonly entries: Map<string, Entry>;
  readonly durable: Map<string, Entry>;
  /** What happened to the entries since they were synced. */
  log: ((entries: Map<string, Entry>) => void)[];
}

type Entry = File | Folder;
const isFolder = (entry: Entry): entry is Folder => "entries" in entry;
const folder = (): Folder => ({ entries: new Map(), durable: new Map(), log: [] });

const failure = (code: string, message = code) => Object.assign(new Error(message), { code });

/** A number below `n`. */
export type Below = (n: number) => number;

export class CrashDisk {
  /** Operations so far that changed something, or synced it. */
  operations = 0;
  /** The operation that fails, counted from 1. */
  failAt = Number.POSITIVE_INFINITY;
  /** Bytes that files may have together. */
  space = Number.POSITIVE_INFINITY;
  /** Nothing may be changed. */
  readOnly = false;
  /** Bytes that one write takes at most. */
  most = Number.POSITIVE_INFINITY;
  #root = folder();
  #dead = false;

  constructor(readonly below: Below) {}

  /** The disk after the crash. */
  reboot(powerLost: boolean): CrashDisk {
    const next = new CrashDisk(this.below);
    next.#root = powerLost ? this.#survives(this.#root) : this.#root;
    return next;
  }

  /** All paths, hidden ones too. */
  paths(): string[] {
    const walk = ({ entries }: Folder, at: string): string[] =>
      [...entries].flatMap(([name, entry]) => [
        `${at}/${name}`,
        ...(isFolder(entry) ? walk(entry, `${at}/${name}`) : []),
      ]);
    return walk(this.#root, "").sort();
  }

  #survives({ durable, log }: Folder): Folder {
    const entries = new Map(durable);
    for (const change of log.slice(0, this.below(log.length + 1))) change(entries);
    const kept = [...entries].map(([name, entry]): [string, Entry] => [
      name,
      isFolder(entry) ? this.#survives(entry) : this.#torn(entry),
    ]);
    return { entries: new Map(kept), durable: new Map(kept), log: [] };
  }

  #torn({ data, durable, dirty }: File): File {
    const prefix = data.slice(0, this.below(data.length + 1));
    const left = dirty ? [durable, data, prefix, new Uint8Array(data.length)][this.below(4)] : data;
    return { data: left, durable: left, dirty: false };
  }

  #operation(): void {
    this.#live();
    if (this.readOnly) throw failure("EROFS");
    if (++this.operations < this.failAt) return;
    this.#dead = true;
    this.#live();
  }

  #live(): void {
    if (this.#dead) throw failure("EIO", "the process is no more");
  }

  #find(path: string): Entry {
    this.#live();
    let at: Entry = this.#root;
    for (const name of path.split("/").filter(Boolean)) {
      if (!isFolder(at)) throw failure("ENOTDIR");
      const next: Entry | undefined = at.entries.get(name);
      if (!next) throw failure("ENOENT");
      at = next;
    }
    return at;
  }

  #home(path: string): [Folder, string] {
    const cut = path.lastIndexOf("/");
    const home = this.#find(path.slice(0, cut));
    if (!isFolder(home)) throw failure("ENOTDIR");
    return [home, path.slice(cut + 1)];
  }

  #change(home: Folder, change: (entries: Map<string, Entry>) => void): void {
    change(home.entries);
    home.log.push(change);
  }

  #used(entry: Entry = this.#root): number {
    if (!isFolder(entry)) return entry.data.length;
    return [...entry.entries.values()].reduce((sum, own) => sum + this.#used(own), 0);
  }

  #remove(path: string): void {
    const entry = this.#find(path);
    if (isFolder(entry)) for (const name of [...entry.entries.keys()]) this.#remove(`${path}/${name}`);
    this.#operation();
    const [home, name] = this.#home(path);
    this.#change(home, (entries) => entries.delete(name));
  }

  #handle(entry: Entry) {
    return {
      read: async (into: Uint8Array, at: number, length: number, from: number) => {
        this.#live();
        const bytes = (entry as File).data.subarray(from, from + length);
        into.set(bytes, at);
        return { bytesRead: bytes.length };
      },
      write: async (chunk: Uint8Array, offset: number, length: number) => {
        const file = entry as File;
        const take = (count: number) => {
          const longer = new Uint8Array(file.data.length + count);
          longer.set(file.data);
          longer.set(chunk.subarray(offset, offset + count), file.data.length);
          file.data = longer;
          file.dirty = true;
        };
        try {
          this.#operation();
        } catch (error) {
          if (this.operations === this.failAt) take(this.below(length + 1));
          throw error;
        }
        const bytesWritten = Math.max(0, Math.min(length, this.most, this.space - this.#used()));
        if (bytesWritten === 0 && length > 0) throw failure("ENOSPC");
        take(bytesWritten);
        return { bytesWritten };
      },
      sync: async () => {
        this.#operation();
        if (!isFolder(entry)) {
          [entry.durable, entry.dirty] = [entry.data, false];
          return;
        }
        for (const change of entry.log) change(entry.durable);
        entry.log = [];
      },
      close: async () => {},
    };
  }

  get disk(): Disk {
    const facts = (path: string) => {
      const entry = this.#find(path);
      const [isFile, isDirectory] = [!isFolder(entry), isFolder(entry)];
      return { isFile: () => isFile, isDirectory: () => isDirectory, isSymbolicLink: () => false, entry };
    };
    const disk = {
      stat: async (path: string) => ({ ...facts(path), size: this.#used(this.#find(path)) }),
      lstat: async (path: string) => facts(path),
      statfs: async () => ({ blocks: 1e12, bavail: Math.min(1e12, this.space - this.#used()), bsize: 1 }),
      realpath: async (path: string) => path,
      readdir: async (path: string, { withFileTypes = false } = {}) =>
        [...(this.#find(path) as Folder).entries.keys()].map((name) =>
          withFileTypes ? { name, ...facts(`${path}/${name}`) } : name,
        ),
      mkdir: async (path: string, { recursive = false } = {}) => {
        let first: string | undefined;
        const parts = path.split("/").filter(Boolean);
        for (const [i] of parts.entries()) {
          const at = `/${parts.slice(0, i + 1).join("/")}`;
          const [home, name] = this.#home(at);
          const there = home.entries.has(name);
          if (there && (recursive || i + 1 < parts.length)) continue;
          if (there) throw failure("EEXIST");
          this.#operation();
          const made = folder();
          this.#change(home, (entries) => entries.set(name, made));
          first ??= at;
        }
        return recursive ? first : undefined;
      },
      open: async (path: string, flags: string) => {
        if (flags === "r") return this.#handle(this.#find(path));
        const [home, name] = this.#home(path);
        if (home.entries.has(name)) throw failure("EEXIST");
        this.#operation();
        const file: File = { data: new Uint8Array(), durable: new Uint8Array(), dirty: true };
        this.#change(home, (entries) => entries.set(name, file));
        return this.#handle(file);
      },
      rename: async (from: string, to: string) => {
        const [home, name] = this.#home(from);
        const [target, other] = this.#home(to);
        const moved = home.entries.get(name);
        const there = target.entries.get(other);
        if (!moved) throw failure("ENOENT");
        if (home !== target) throw failure("EXDEV", "a rename between folders is not modelled");
        if (there && isFolder(there) && there.entries.size > 0) throw failure("ENOTEMPTY");
        this.#operation();
        // One transaction, as file systems have it: either both names change or none.
        this.#change(home, (entries) => {
          entries.delete(name);
          entries.set(other, moved);
        });
      },
      rm: async (path: string, { force = false } = {}) => {
        try {
          this.#remove(path);
        } catch (error) {
          if (!force || (error as { code?: string }).code !== "ENOENT") throw error;
        }
      },
    };
    return disk as unknown as Disk;
  }
}
