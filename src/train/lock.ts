// One run folder has one owner: `lock-N/owner.json` says who. A lock is a folder, because a folder appears under its name whole, and once: of
// those who make lock-N at the same time one succeeds. Who finds lock-N of a dead owner makes lock-(N + 1) and only then removes the old one, so
// nobody can remove the lock of a living owner in place of a dead one's. An owner of this host is dead when its process is; of another host
// nothing is known but its heart: a count in the file that stands still.

import { LimbeckError } from "../errors.ts";
import { decodeUtf8, type Files } from "../formats/files.ts";
import { isObject, parseJson } from "../formats/json.ts";
import type { ProcessId, Runtime } from "../runtimes/runtime.ts";

const NAME = /^lock-(\d{1,9})$/;
const FILE = "owner.json";

export const isLock = (name: string) => NAME.test(name);

interface Owner extends ProcessId {
  /** Tells this lock from any other of the same process. */
  readonly token: string;
  readonly beats: number;
}

/** Milliseconds from one beat to the next, and without one until an owner on another host counts as dead: a step may take long. */
export const HEART = { beat: 30_000, patience: 300_000 };

/** What holds a folder. */
export interface Owned {
  /** Throws where somebody else took the folder for abandoned. */
  require(): Promise<void>;
  release(): Promise<void>;
}

export class Lock implements Owned {
  #beats = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(
    readonly files: Files,
    readonly id: ProcessId,
    readonly token: string,
    heart: typeof HEART,
  ) {
    this.#timer = setInterval(() => void this.#beat().catch(() => {}), heart.beat);
    // It does not keep the process alive.
    (this.#timer as { unref?(): void }).unref?.();
  }

  /** The lock of a folder that exists. Yields what to tell; undefined where neither folder nor runtime has any. */
  static async *take(
    { processes }: Pick<Runtime, "processes">,
    files: Files,
    heart = HEART,
  ): AsyncGenerator<string, Owned | undefined> {
    if (files.hold) return held(files, await files.hold());
    if (!processes) return undefined;
    const id = await processes.own();
    const token = crypto.randomUUID();
    const locks = async () => (await files.folders()).filter(isLock);
    const dead = new Set<string>();
    const refuseLiving = async function* (names: readonly string[]): AsyncGenerator<string> {
      for (const name of names) {
        const owner = await ownerOf(files.sub(name));
        if (!owner || dead.has(owner.token)) continue;
        const living =
          owner.host === id.host ? await processes.runs(owner) : yield* beats(files.sub(name), owner, heart.patience);
        if (living) throw owned(files, name, owner);
        dead.add(owner.token);
      }
    };
    for (;;) {
      const found = await locks();
      yield* refuseLiving(found);
      const name = `lock-${1 + Math.max(0, ...found.map((other) => Number(NAME.exec(other)?.[1])))}`;
      const own = files.sub(name);
      try {
        await own.create((draft) => write(draft, { ...id, token, beats: 0 }));
      } catch (error) {
        // Somebody was faster, and is looked at in the next turn.
        if (!(await locks()).some((other) => !found.includes(other))) throw error;
        continue;
      }
      // Whoever looked when there was no lock at all may have made a lower one since.
      const others = (await locks()).filter((other) => other !== name);
      try {
        yield* refuseLiving(others);
      } catch (error) {
        await own.discard().catch(() => {});
        throw error;
      }
      for (const other of others) await files.sub(other).discard();
      return new Lock(own, id, token, heart);
    }
  }

  async require(): Promise<void> {
    const owner = await ownerOf(this.files);
    if (owner?.token === this.token) return;
    throw new LimbeckError(
      "RUN_TAKEN",
      `another process${owner ? ` (${owner.pid} on ${owner.host})` : ""} took this run over, or removed its lock; this one writes no more.`,
      { where: this.files.folder },
    );
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    // One that cannot be removed is taken over.
    await this.require()
      .then(() => this.files.discard())
      .catch(() => {});
  }

  async #beat(): Promise<void> {
    await this.require();
    await write(this.files, { ...this.id, token: this.token, beats: ++this.#beats });
  }
}

/** The host's own lock: it ends with who has it. */
function held({ folder }: Files, release: (() => void | Promise<void>) | undefined): Owned {
  if (!release)
    throw new LimbeckError("RUN_OWNED", "another tab or worker trains into this folder; end it, or name another one.", {
      where: folder,
    });
  return { require: async () => {}, release: async () => release() };
}

const write = (files: Files, owner: Owner) =>
  files.write(FILE, new TextEncoder().encode(`${JSON.stringify(owner, null, 2)}\n`));

async function ownerOf(files: Files): Promise<Owner | undefined> {
  const where = `${files.folder}/${FILE}`;
  const bytes = await files.read(FILE).catch((error) => {
    if (["FILE_NOT_FOUND", "FOLDER_NOT_FOUND"].includes(error.code)) return undefined;
    throw error;
  });
  if (!bytes) return undefined;
  const json = parseJson(decodeUtf8(bytes, where, "NOT_UTF8"), { where });
  return isObject(json) && typeof json.token === "string" ? (json as unknown as Owner) : undefined;
}

/** Whether the heart of an owner on another host beats. */
async function* beats(files: Files, { host, beats }: Owner, patience: number): AsyncGenerator<string, boolean> {
  yield `this folder belongs to a run on ${host}: for ${Math.ceil(patience / 1000)} s it is watched whether that still lives`;
  for (let waited = 0; waited < patience; waited += patience / 20) {
    await new Promise((resolve) => setTimeout(resolve, patience / 20));
    const owner = await ownerOf(files);
    if (owner?.beats !== beats) return owner !== undefined;
  }
  return false;
}

function owned({ folder }: Files, lock: string, { host, pid }: Owner): LimbeckError {
  return new LimbeckError(
    "RUN_OWNED",
    `process ${pid} on ${host} trains into this folder, and two runs would ruin each other's; wait for it, end it, or name another folder. (Should that process be no run of limbeck, remove ${lock}.)`,
    { where: folder },
  );
}
