// One run folder has one owner, whoever comes when.

import { describe, expect, test } from "vitest";
import { memoryFiles } from "../../src/formats/files.ts";
import type { ProcessId } from "../../src/runtimes/runtime.ts";
import { Lock, type Owned } from "../../src/train/lock.ts";
import { here } from "../hosts/here.ts";

const owner = new TextEncoder();
/** Processes that run, by host. */
const living = new Map([
  ["here", new Set([1, 2, 3])],
  ["there", new Set<number>()],
]);
const processOf = (pid: number, host = "here") => ({
  processes: {
    own: async () => ({ host, pid }),
    runs: async (id: ProcessId) => living.get(host)?.has(id.pid) ?? false,
  },
});
const HEART = { beat: 5, patience: 200 };

async function taken(...given: Parameters<typeof Lock.take>): Promise<{ lock?: Owned; notes: string[] }> {
  const notes: string[] = [];
  const taking = Lock.take(...given);
  for (;;) {
    const next = await taking.next();
    if (next.done) return { lock: next.value, notes };
    notes.push(next.value);
  }
}

const folder = async () => {
  const files = memoryFiles({}, "out");
  const leave = async (name: string, id: ProcessId, beats = 0) =>
    files
      .sub(name)
      .create((draft) => draft.write("owner.json", owner.encode(JSON.stringify({ ...id, token: name, beats }))));
  return { files, leave };
};

describe("a lock", () => {
  test("is refused while its owner lives, and says who that is [C10]", async () => {
    const { files } = await folder();
    const { lock } = await taken(processOf(1), files);
    expect(await files.folders()).toEqual(["lock-1"]);
    expect(JSON.parse(new TextDecoder().decode(await files.sub("lock-1").read("owner.json")))).toMatchObject({
      ...{ host: "here", pid: 1, beats: 0 },
    });
    const refused = expect(taken(processOf(2), files)).rejects;
    await refused.toMatchObject({ code: "RUN_OWNED" });
    await refused.toThrow(/^out: process 1 on here trains into this folder/);
    await lock?.require();
    await lock?.release();
    expect(await files.folders()).toEqual([]);
    await (await taken(processOf(2), files)).lock?.release();
  });

  test("of a dead process of this host is taken over at once", async () => {
    const { files, leave } = await folder();
    await leave("lock-4", { host: "here", pid: 99 });
    const { lock, notes } = await taken(processOf(1), files);
    expect([await files.folders(), notes]).toEqual([["lock-5"], []]);
    await lock?.release();
  });

  test("of another host is taken over when its heart has stopped, and not while it beats", async () => {
    const { files, leave } = await folder();
    await leave("lock-1", { host: "there", pid: 1 });
    const { lock, notes } = await taken(processOf(1), files, HEART);
    expect(notes).toEqual([expect.stringMatching(/belongs to a run on there: for 1 s it is watched/)]);
    await expect(taken(processOf(1, "there"), files, HEART)).rejects.toMatchObject({ code: "RUN_OWNED" });
    await lock?.require();
    await lock?.release();
  });

  test.each([2, 3])(
    "goes to one of %i who come at the same time, whether it is free or its owner dead",
    async (many) => {
      for (const dead of [false, true]) {
        const { files, leave } = await folder();
        if (dead) await leave("lock-1", { host: "here", pid: 99 });
        const all = await Promise.allSettled([1, 2, 3].slice(0, many).map((pid) => taken(processOf(pid), files)));
        const won = all.flatMap((one) => (one.status === "fulfilled" ? [one.value.lock] : []));
        expect(won).toHaveLength(1);
        for (const one of all) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "RUN_OWNED" });
        await won[0]?.require();
        expect(await files.folders()).toHaveLength(1);
        await won[0]?.release();
      }
    },
  );

  test("that was taken away stops its run from writing, and is not removed by it", async () => {
    const { files } = await folder();
    const { lock } = await taken(processOf(1), files);
    await files.sub("lock-1").discard();
    const other = (await taken(processOf(2), files)).lock;
    await expect(lock?.require()).rejects.toMatchObject({ code: "RUN_TAKEN" });
    await expect(lock?.require()).rejects.toThrow(/another process \(2 on here\) took this run over/);
    await lock?.release();
    expect(await files.folders()).toEqual(["lock-1"]);
    await other?.release();
  });

  test("is none where the host knows no processes", async () => {
    const { files } = await folder();
    expect((await taken({}, files)).lock).toBeUndefined();
    expect(await files.folders()).toEqual([]);
  });
});

test("this process runs; one of its number that began at another time, or of a number that nobody has, does not", async () => {
  const { processes } = here.runtime;
  if (!processes) return;
  const own = await processes.own();
  expect(own.started).toBeTruthy();
  expect(await processes.runs(own)).toBe(true);
  expect(await processes.runs({ ...own, started: "another boot 1" })).toBe(false);
  expect(await processes.runs({ ...own, pid: 2 ** 22 + 1, started: undefined })).toBe(false);
});
