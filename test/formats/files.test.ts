import { execFileSync } from "node:child_process";
import * as system from "node:fs/promises";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError, LimbeckError } from "../../src/errors.ts";
import { type Files, memoryFiles, readText } from "../../src/formats/files.ts";
import { nodeFiles, readPath, writeAll } from "../../src/runtimes/nodeFiles.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = async (files: Files, name: string) => new TextDecoder().decode(await files.read(name));
const code = (value: string) => expect.objectContaining({ code: value });

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "limbeck-files-"));
});
afterEach(() => rm(home, { recursive: true }));

describe.each<[string, () => Files]>([
  ["memory", () => memoryFiles(undefined, "out")],
  ["node", () => nodeFiles(join(home, "deep/er/out"))],
])("a folder in %s", (_name, make) => {
  test("does not exist, then does, with what was written", async () => {
    const files = make();
    expect(await files.exists()).toBe(false);
    await expect(files.list()).rejects.toThrow(code("FOLDER_NOT_FOUND"));
    await files.create(async (draft) => {
      await draft.write("b.txt", bytes("two"));
      await draft.write("a.bin", [Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]);
      await draft.write(
        "c.bin",
        (async function* () {
          yield Uint8Array.of(7);
          yield Uint8Array.of(8);
        })(),
      );
      expect(await files.exists()).toBe(false);
    });
    expect(await files.exists()).toBe(true);
    expect(await files.list()).toEqual(["a.bin", "b.txt", "c.bin"]);
    expect(await files.read("a.bin")).toEqual(Uint8Array.of(1, 2, 3));
    expect(await files.read("c.bin")).toEqual(Uint8Array.of(7, 8));
    expect(await files.size("b.txt")).toBe(3);
    expect(await files.size("d.txt")).toBeUndefined();
    await expect(files.read("d.txt")).rejects.toThrow(code("FILE_NOT_FOUND"));
    const open = await files.open("a.bin");
    expect(open.size).toBe(3);
    expect(await open.read(1, 2)).toEqual(Uint8Array.of(2, 3));
    expect(await open.read(3, 0)).toEqual(new Uint8Array(0));
    await expect(open.read(2, 2)).rejects.toThrow(code("FILE_CHANGED"));
    await open.close();
    await files.remove("b.txt");
    expect(await files.list()).toEqual(["a.bin", "c.bin"]);
    await expect(files.remove("b.txt")).rejects.toThrow(code("FILE_NOT_FOUND"));
    await expect(files.open("b.txt")).rejects.toThrow(code("FILE_NOT_FOUND"));
  });

  test("leaves nothing when filling it fails", async () => {
    const files = make();
    const failing = files.create(async (draft) => {
      await draft.write("config.json", bytes("{}"));
      throw new Error("the lamp went out");
    });
    await expect(failing).rejects.toThrow(/the lamp went out/);
    expect(await files.exists()).toBe(false);
    expect((await readdir(home, { recursive: true })).filter((name) => name.includes("out"))).toEqual([]);
  });

  test("is made once", async () => {
    const files = make();
    await files.create((draft) => draft.write("config.json", bytes("old")));
    await expect(files.create(async () => {})).rejects.toThrow(code("OUTPUT_EXISTS"));
    expect(await text(files, "config.json")).toBe("old");

    // Of two at the same time one succeeds, and nothing is left of the other.
    const attempts = ["a", "b", "c"].map((who) => files.sub("lock").create((draft) => draft.write("who", bytes(who))));
    const outcomes = (await Promise.allSettled(attempts)).map(({ status }) => status);
    expect(outcomes.filter((status) => status === "fulfilled")).toHaveLength(1);
    expect(await text(files.sub("lock"), "who")).toBe("abc"[outcomes.indexOf("fulfilled")]);
    expect(await files.folders()).toEqual(["lock"]);
  });

  test("has folders in it, which come and go as a whole", async () => {
    const files = make();
    await expect(files.folders()).rejects.toThrow(code("FOLDER_NOT_FOUND"));
    await files.create((draft) => draft.write("config.json", bytes("{}")));
    expect(await files.folders()).toEqual([]);
    const sub = files.sub("checkpoint-2");
    expect(await sub.exists()).toBe(false);
    await sub.create((draft) => draft.write("a.txt", bytes("two")));
    await files.sub("checkpoint-10").create(async () => {});
    expect(await files.folders()).toEqual(["checkpoint-10", "checkpoint-2"]);
    expect(await files.list()).toEqual(["config.json"]);
    expect(await text(files.sub("checkpoint-2"), "a.txt")).toBe("two");
    await sub.discard();
    expect(await sub.exists()).toBe(false);
    expect(await files.folders()).toEqual(["checkpoint-10"]);
    await sub.create((draft) => draft.write("b.txt", bytes("again")));
    expect(await sub.list()).toEqual(["b.txt"]);
    await files.discard();
    expect(await files.exists()).toBe(false);
  });

  test("keeps the old file when writing the new one fails", async () => {
    const files = make();
    await files.create((draft) => draft.write("a.txt", bytes("old")));
    const failing = files.write(
      "a.txt",
      (function* () {
        yield bytes("ne");
        throw new Error("stop");
      })(),
    );
    await expect(failing).rejects.toThrow(/stop/);
    expect(await text(files, "a.txt")).toBe("old");
    expect(await files.list()).toEqual(["a.txt"]);
    await files.write("a.txt", bytes("new"));
    expect(await text(files, "a.txt")).toBe("new");
  });

  test.each(["../x", "a/b", "a\\b", "..", ".", "", "C:x", ".hidden", "a\0b", "/etc/passwd", "x".repeat(300)])(
    "never touches %j [M9]",
    async (name) => {
      const files = make();
      await files.create((draft) => draft.write("config.json", bytes("{}")));
      const attempts = [
        () => files.read(name),
        () => files.write(name, bytes("x")),
        () => files.size(name),
        () => files.open(name),
        () => files.remove(name),
        async () => files.sub(name),
      ];
      for (const attempt of attempts) {
        await expect((async () => attempt())()).rejects.toThrow(code("UNSAFE_FILE_NAME"));
      }
    },
  );
});

describe("nodeFiles", () => {
  test("follows a link inside the folder and refuses one that leaves it [M9]", async () => {
    const folder = join(home, "model");
    await mkdir(folder);
    await writeFile(join(home, "secret"), "key");
    await writeFile(join(folder, "real.json"), "{}");
    await symlink("real.json", join(folder, "config.json"));
    await symlink("../secret", join(folder, "vocab.txt"));
    await symlink("nowhere", join(folder, "broken"));
    await symlink("circle", join(folder, "circle"));
    const files = nodeFiles(folder);
    expect(await text(files, "config.json")).toBe("{}");
    await expect(files.read("vocab.txt")).rejects.toThrow(code("LINK_LEAVES_FOLDER"));
    await expect(files.size("vocab.txt")).rejects.toThrow(code("LINK_LEAVES_FOLDER"));
    await expect(files.read("broken")).rejects.toThrow(code("FILE_NOT_FOUND"));
    await expect(files.read("circle")).rejects.toThrow(code("LINK_LEAVES_FOLDER"));
  });

  test("reads Hugging Face's cache, whose links lead to its blobs, and only to them", async () => {
    const snapshot = join(home, "models--x/snapshots/abc");
    await mkdir(snapshot, { recursive: true });
    await mkdir(join(home, "models--x/blobs"));
    await writeFile(join(home, "models--x/blobs/1f2e"), "{}");
    await writeFile(join(home, "models--x/secret"), "key");
    await symlink("../../blobs/1f2e", join(snapshot, "config.json"));
    await symlink("../../secret", join(snapshot, "vocab.txt"));
    expect(await text(nodeFiles(snapshot), "config.json")).toBe("{}");
    await expect(nodeFiles(snapshot).read("vocab.txt")).rejects.toThrow(code("LINK_LEAVES_FOLDER"));
  });

  test("a pipe, a device and a socket are refused without being opened [M9]", async () => {
    const folder = join(home, "model");
    await mkdir(folder);
    execFileSync("mkfifo", [join(folder, "config.json")]);
    await symlink("/dev/zero", join(folder, "vocab.txt"));
    const socket = createServer().listen(join(folder, "tokenizer.json"));
    const files = nodeFiles(folder);
    for (const read of [
      () => files.read("config.json"),
      () => files.open("config.json"),
      () => files.size("config.json"),
    ])
      await expect(read()).rejects.toThrow(code("NOT_A_FILE"));
    await expect(files.read("vocab.txt")).rejects.toThrow(code("LINK_LEAVES_FOLDER"));
    await expect(files.read("tokenizer.json")).rejects.toThrow(code("NOT_A_FILE"));
    for (const path of ["/dev/zero", join(folder, "config.json"), join(folder, "tokenizer.json"), folder])
      await expect(readPath(path)).rejects.toThrow(code("NOT_A_FILE"));
    socket.close();
  });

  test("a file that vanishes or shrinks while it is read is the user's error [C9]", async () => {
    await writeFile(join(home, "config.json"), "{}");
    const vanishing = (what: (path: string) => Promise<unknown>) =>
      nodeFiles(home, {
        ...system,
        open: (async (path: string, flags: string) => {
          await what(path);
          return system.open(path, flags);
        }) as typeof system.open,
      });
    await expect(vanishing((path) => writeFile(path, "{")).read("config.json")).rejects.toThrow(code("FILE_CHANGED"));
    await expect(vanishing((path) => rm(path)).read("config.json")).rejects.toThrow(code("FILE_NOT_FOUND"));
  });

  test("a folder in a file's place is no file, a file in a folder's place is no folder", async () => {
    await mkdir(join(home, "config.json"));
    await expect(nodeFiles(home).read("config.json")).rejects.toThrow(code("NOT_A_FILE"));
    await writeFile(join(home, "file"), "");
    await expect(nodeFiles(join(home, "file")).exists()).rejects.toThrow(code("NOT_A_FOLDER"));
    await expect(nodeFiles(join(home, "file")).create(async () => {})).rejects.toThrow(code("NOT_A_FOLDER"));
    await expect(nodeFiles(join(home, "file/out")).create(async () => {})).rejects.toThrow(code("NOT_A_FOLDER"));
  });

  test("tidies up what interrupted writers left, and nothing else", async () => {
    const id = "0b9ee6a2-6c42-4a5e-8a6e-0d9cf3a1a0ff";
    const left = [
      `out/.checkpoint-2.${id}.partial`,
      `out/.checkpoint-1.${id}.old`,
      `.out.${id}.old`,
      `.out.${id}.partial`,
    ];
    for (const name of left) {
      await mkdir(join(home, name), { recursive: true });
      await writeFile(join(home, name, "a.txt"), "half");
    }
    await writeFile(join(home, `out/.config.json.${id}.partial`), "half");
    const mine = [`.in.${id}.old`, "out/.git.partial", "out/a.partial", `out/.a.${id}`].sort();
    for (const name of mine) await writeFile(join(home, name), "mine");
    await nodeFiles(join(home, "out")).tidy();
    expect((await readdir(home, { recursive: true })).sort()).toEqual([...mine, "out"].sort());
  });

  test("errors name the folder as the user wrote it", async () => {
    const files = nodeFiles(`${home}/./model`);
    await expect(files.read("config.json")).rejects.toThrow(`${home}/./model/config.json: there is no such file.`);
  });

  test("short writes are continued, and a write of nothing ends", async () => {
    const written: number[] = [];
    const slow = {
      async write(chunk: Uint8Array, offset: number, length: number) {
        const bytesWritten = Math.min(3, length);
        written.push(...chunk.subarray(offset, offset + bytesWritten));
        return { bytesWritten };
      },
    };
    const chunk = Uint8Array.from({ length: 10 }, (_, i) => i);
    await writeAll(slow, chunk);
    expect(written).toEqual([...chunk]);
    await expect(writeAll({ write: async () => ({ bytesWritten: 0 }) }, chunk)).rejects.toThrow(LimbeckError);
  });
});

describe("readText", () => {
  const folder = (data: string | Uint8Array) => memoryFiles({ "vocab.txt": data }, "model");

  test("strips the byte-order mark", async () => {
    expect(await readText(folder("\ufeffa"), "vocab.txt")).toBe("a");
  });

  test.each([
    [[0x61, 0xe9, 0x62], 2],
    [[0xff, 0xfe, 0x61, 0x00], 0],
    [[0x61, 0xed, 0xa0, 0x80], 2],
    [[0x61, 0x62, 0xe2, 0x82], 4],
  ])("refuses %j at its first bad byte", async (data, at) => {
    const reading = readText(folder(Uint8Array.from(data)), "vocab.txt");
    await expect(reading).rejects.toThrow(`model/vocab.txt: not UTF-8 at byte ${at}; save the file as UTF-8.`);
    await expect(reading).rejects.toThrow(InputError);
  });

  test("recognises a git-LFS pointer [M2]", async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 231508\n`;
    await expect(readText(folder(pointer), "vocab.txt")).rejects.toThrow(/231,508 bytes.*git lfs pull/);
  });
});
