// A hub and a plain server on loopback: what is fetched, what is kept, and what is said when something is wrong.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LimbeckError } from "../../src/errors.ts";
import { type Files, memoryFiles } from "../../src/formats/files.ts";
import { readModelFolder } from "../../src/formats/huggingface.ts";
import { type Downloads, readUrl, remoteFolder } from "../../src/formats/remote.ts";
import { families } from "../../src/models/index.ts";
import { node } from "../../src/runtimes/node.ts";
import { downloads as nodeDownloads } from "../../src/runtimes/nodeDownloads.ts";
import { sha256 } from "../../src/sha256.ts";
import { finetune } from "../../src/train/finetune.ts";
import { openData, openFolder } from "../../src/train/session.ts";
import { here } from "../hosts/here.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const NEXT = "f".repeat(40);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const code = (value: string) => expect.objectContaining({ code: value });

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const routes = new Map<string, Answer>();
let asked: string[] = [];
let [hub, cdn] = ["", ""];

const server = () =>
  createServer((request, response) => {
    const path = (request.url ?? "").replace(/\?.*/, "");
    asked.push(`${request.method} ${path}${request.headers.authorization ? " with a token" : ""}`);
    const answer = routes.get(path);
    if (answer) answer(request, response);
    else response.writeHead(404).end("no");
  });
const servers = [server(), server()];
beforeAll(async () => {
  for (const one of servers) await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
  [hub, cdn] = servers.map((one) => `http://127.0.0.1:${(one.address() as AddressInfo).port}`);
});
afterAll(() => {
  for (const one of servers) one.close();
});

const send =
  (body: string | Uint8Array, headers: Record<string, string> = {}): Answer =>
  (request, response) => {
    response.writeHead(200, { "Content-Length": body.length, ...headers });
    response.end(request.method === "HEAD" ? undefined : body);
  };
const status =
  (number: number): Answer =>
  (_, response) =>
    response.writeHead(number).end("{}");

/** A model of these files at a commit, which the branch main is at. */
function offer(name: string, files: Record<string, string | Uint8Array>, commit = COMMIT): void {
  const siblings = Object.entries(files).map(([rfilename, body]) => ({ rfilename, size: body.length }));
  for (const revision of ["main", commit])
    routes.set(`/api/models/${name}/revision/${revision}`, send(JSON.stringify({ sha: commit, siblings })));
  for (const [file, body] of Object.entries(files)) routes.set(`/${name}/resolve/${commit}/${file}`, send(body));
}

const CONFIG = '{"model_type": "bert"}';
beforeEach(() => {
  routes.clear();
  asked = [];
  offer("org/model", { "config.json": CONFIG, "vocab.txt": "a\nb\n", "train.py": "never" });
});

const from = (name: string, more: Downloads = {}) => remoteFolder(name, { endpoint: hub, ...more });

describe("a model of the hub", () => {
  test("is listed once, and only what is asked for is fetched, once with a cache", async () => {
    const cache = memoryFiles(undefined, "cache");
    const files = from("hf:org/model", { cache });
    expect(await files.size("config.json")).toBe(CONFIG.length);
    expect(await files.size("tokenizer.json")).toBeUndefined();
    expect(text(await files.read("config.json"))).toBe(CONFIG);
    expect(text(await files.read("config.json"))).toBe(CONFIG);
    expect(files.notes?.()).toEqual([`hf:org/model: ${CONFIG.length} bytes were downloaded`]);
    expect(asked).toEqual(["GET /api/models/org/model/revision/main", `GET /org/model/resolve/${COMMIT}/config.json`]);
    const home = cache.sub("models--org--model");
    expect(text(await home.sub("refs").read("main"))).toBe(COMMIT);
    expect(await home.sub("snapshots").sub(COMMIT).list()).toEqual(["config.json"]);
  });

  test("without a network is what the cache has, and says so", async () => {
    const cache = memoryFiles(undefined, "cache");
    await from("hf:org/model", { cache }).read("config.json");
    routes.set("/api/models/org/model/revision/main", status(503));
    const files = from("hf:org/model", { cache });
    expect(text(await files.read("config.json"))).toBe(CONFIG);
    expect(files.notes?.()).toEqual([expect.stringContaining("commit 0123456 of the cache is used")]);
    const offline = from("hf:org/model", { cache, offline: true });
    expect(text(await offline.read("config.json"))).toBe(CONFIG);
    // It is there, but nobody fetched it.
    expect(await offline.size("vocab.txt")).toBe(4);
    await expect(offline.read("vocab.txt")).rejects.toThrow(code("OFFLINE"));
    await expect(from("hf:org/other", { cache, offline: true }).size("config.json")).rejects.toThrow(code("OFFLINE"));
  });

  test("that huggingface_hub has fetched is found without a listing", async () => {
    const cache = memoryFiles(undefined, "cache");
    const home = cache.sub("models--org--model");
    await home.sub("refs").create((draft) => draft.write("main", new TextEncoder().encode(NEXT)));
    await home
      .sub("snapshots")
      .sub(NEXT)
      .create((draft) => draft.write("config.json", new TextEncoder().encode("{}")));
    const files = from("hf:org/model", { cache, offline: true });
    expect(text(await files.read("config.json"))).toBe("{}");
    expect(await files.size("vocab.txt")).toBeUndefined();
  });

  test("is another when its branch moved; a commit is asked for but once", async () => {
    const cache = memoryFiles(undefined, "cache");
    await from("hf:org/model", { cache }).read("vocab.txt");
    offer("org/model", { "config.json": CONFIG, "vocab.txt": "a\nb\nc\n" }, NEXT);
    expect(text(await from("hf:org/model", { cache }).read("vocab.txt"))).toBe("a\nb\nc\n");
    asked = [];
    expect(text(await from(`hf:org/model@${COMMIT}`, { cache }).read("vocab.txt"))).toBe("a\nb\n");
    expect(asked).toEqual([]);
  });

  test("has branches with a slash, and models without an organisation", async () => {
    const cache = memoryFiles(undefined, "cache");
    offer("model", { "config.json": CONFIG });
    routes.set(
      "/api/models/model/revision/refs%2Fpr%2F1",
      send(JSON.stringify({ sha: COMMIT, siblings: [{ rfilename: "config.json", size: CONFIG.length }] })),
    );
    expect(text(await from("hf:model@refs/pr/1", { cache }).read("config.json"))).toBe(CONFIG);
    expect(text(await cache.sub("models--model").sub("refs").sub("refs").sub("pr").read("1"))).toBe(COMMIT);
  });

  test("gives its large files by a redirection to another server, which does not learn the token", async () => {
    const weights = new Uint8Array(100_000).fill(7);
    const lfs = { sha256: await sha256(weights), size: weights.length };
    const listing = { sha: COMMIT, siblings: [{ rfilename: "model.safetensors", size: weights.length, lfs }] };
    routes.set("/api/models/org/model/revision/main", send(JSON.stringify(listing)));
    routes.set(`/org/model/resolve/${COMMIT}/model.safetensors`, (_, response) =>
      response.writeHead(302, { Location: `${cdn}/blob` }).end(),
    );
    routes.set("/blob", send(weights));
    expect(await from("hf:org/model", { token: "secret" }).read("model.safetensors")).toEqual(weights);
    expect(asked.at(-2)).toMatch(/model.safetensors with a token$/);
    expect(asked.at(-1)).toBe("GET /blob");
    // A pointer in the place of the file, and other bytes of the same length.
    routes.set("/blob", send("version https://git-lfs.github.com/spec/v1\n"));
    await expect(from("hf:org/model").read("model.safetensors")).rejects.toThrow(code("DOWNLOAD_INCOMPLETE"));
    routes.set("/blob", send(new Uint8Array(100_000)));
    await expect(from("hf:org/model").read("model.safetensors")).rejects.toThrow(code("DOWNLOAD_DAMAGED"));
  });

  test.each<[string, Answer]>([
    ["too few", (_, response) => response.writeHead(200).end("{")],
    ["too many", (_, response) => response.writeHead(200).end("{".repeat(99))],
    [
      "a broken connection",
      (_, response) => {
        response.writeHead(200, { "Content-Length": CONFIG.length });
        response.write("{", () => response.destroy());
      },
    ],
  ])("is not kept where a body is not whole: %s", async (_, answer) => {
    const cache = memoryFiles(undefined, "cache");
    routes.set(`/org/model/resolve/${COMMIT}/config.json`, answer);
    await expect(from("hf:org/model", { cache }).read("config.json")).rejects.toThrow(code("DOWNLOAD_INCOMPLETE"));
    expect(await cache.sub("models--org--model").sub("snapshots").sub(COMMIT).exists()).toBe(false);
  });

  test.each([
    [401, "ACCESS_REFUSED", /HF_TOKEN/],
    [403, "ACCESS_REFUSED", /accept the terms/],
    [404, "REMOTE_NOT_FOUND", /spelled/],
    [429, "SERVER_BUSY", /wait/],
    [500, "SERVER_BUSY", /try again later/],
  ])("is refused by status %i with %s", async (number, expected, words) => {
    routes.set("/api/models/org/model/revision/main", status(number));
    const error = await from("hf:org/model")
      .size("config.json")
      .catch((error) => error);
    expect(error).toEqual(code(expected));
    expect(error.message).toMatch(words);
    expect(error.message).toMatch(/^hf:org\/model: /);
  });

  test("whose server is not there says which", async () => {
    const nobody = remoteFolder("hf:org/model", { endpoint: "http://127.0.0.1:9" });
    await expect(nobody.size("config.json")).rejects.toThrow(/hf:org\/model: http:\/\/127.0.0.1:9 does not answer/);
    routes.set("/api/models/org/model/revision/main", send("<html>"));
    await expect(from("hf:org/model").size("config.json")).rejects.toThrow(/hf:org\/model/);
    routes.set("/api/models/org/model/revision/main", send("{}"));
    await expect(from("hf:org/model").size("config.json")).rejects.toThrow(code("HUB_ANSWER"));
  });

  test("with pickled weights alone is refused with how to convert it", async () => {
    const config = '{"model_type": "bert", "architectures": ["BertForSequenceClassification"]}';
    const bert = JSON.parse(text(here.fixture("bert-a/config.json")));
    offer("org/model", {
      "config.json": JSON.stringify({ ...bert, ...JSON.parse(config) }),
      "pytorch_model.bin": "pickle",
    });
    await expect(readModelFolder(from("hf:org/model"), families)).rejects.toThrow(
      /BertForSequenceClassification.from_pretrained\('org\/model'\).save_pretrained\('converted'/,
    );
    expect(asked.filter((path) => path.includes("pytorch_model"))).toEqual([]);
  });

  test("is loaded as a folder is, and says how it came", async () => {
    const names = ["config.json", "model.safetensors"];
    offer("org/bert", Object.fromEntries(names.map((name) => [name, here.fixture(`bert-a/${name}`)])));
    const { tensors, notes } = await readModelFolder(from("hf:org/bert"), families);
    expect(tensors.size).toBeGreaterThan(10);
    expect(notes[0]).toMatch(/^hf:org\/bert: [\d,]+ bytes were downloaded$/);
  });

  test("is not kept where the cache is full, and a note says why", async () => {
    const cache = memoryFiles(undefined, "cache");
    const refuse = async () => {
      throw new LimbeckError("DISK_FULL", "no space is left on the disk.");
    };
    const full = (files: Files): Files => ({ ...files, sub: (name) => full(files.sub(name)), create: refuse });
    const files = from("hf:org/model", { cache: full(cache) });
    expect(text(await files.read("config.json"))).toBe(CONFIG);
    expect(files.notes?.()[0]).toBe("what is downloaded is not kept: no space is left on the disk.");
  });
});

describe("the URL of a folder", () => {
  test("is asked file by file, and asked again whether a kept file changed", async () => {
    const cache = memoryFiles(undefined, "cache");
    routes.set("/models/m/config.json", send("{1}", { ETag: '"1"' }));
    const read = () => remoteFolder(`${hub}/models/m/`, { cache }).read("config.json");
    expect(text(await read())).toBe("{1}");
    expect(text(await read())).toBe("{1}");
    expect(asked).toEqual(["HEAD /models/m/config.json", "GET /models/m/config.json", "HEAD /models/m/config.json"]);
    routes.set("/models/m/config.json", send("{2}", { ETag: '"2"' }));
    expect(text(await read())).toBe("{2}");
  });

  test("says what is absent, also where a server answers with a page", async () => {
    const files = remoteFolder(`${hub}/m`, {});
    routes.set("/m/vocab.txt", send("<!doctype html>", { "Content-Type": "text/html; charset=utf-8" }));
    expect(await files.size("config.json")).toBeUndefined();
    expect(await files.size("vocab.txt")).toBeUndefined();
    await expect(readModelFolder(files, families)).rejects.toThrow(code("NO_CONFIG"));
  });

  test("is read without HEAD, from the cache without a network, and never written", async () => {
    const cache = memoryFiles(undefined, "cache");
    routes.set("/m/config.json", (request, response) =>
      request.method === "HEAD" ? status(405)(request, response) : send("{}", { ETag: "W/1" })(request, response),
    );
    expect(text(await remoteFolder(`${hub}/m`, { cache }).read("config.json"))).toBe("{}");
    const offline = remoteFolder(`${hub}/m`, { cache, offline: true });
    expect(text(await offline.read("config.json"))).toBe("{}");
    expect(await offline.size("vocab.txt")).toBeUndefined();
    expect(offline.notes?.()[0]).toMatch(/the files of the cache are used/);
    await expect(offline.write("x", new Uint8Array(1))).rejects.toThrow(code("READ_ONLY_FOLDER"));
  });
});

test("names that are none are refused before anybody is asked", () => {
  for (const name of [
    "hf:",
    "hf:a/b/c",
    "hf:../x",
    "hf:a/b@../c",
    "hf:a/b@",
    "https://user:word@host/m",
    `${hub}/m?a=b`,
  ])
    expect(() => remoteFolder(name, {}), name).toThrow(code("REMOTE_NAME"));
});

test("commands take such names for folders and files, and never for what they write", async () => {
  const runtime = { ...node, downloads: () => ({ endpoint: hub }) };
  expect(text(await openFolder(runtime, "hf:org/model").read("config.json"))).toBe(CONFIG);
  routes.set("/train.tsv", send("sentence\tlabel\ngood\t1\nbad\t0\n"));
  expect((await openData(runtime, `${hub}/train.tsv`, {})).examples).toHaveLength(2);
  await expect(readUrl(`${hub}/absent.tsv`, {})).rejects.toThrow(code("REMOTE_NOT_FOUND"));
  const run = finetune(runtime, { model: "hf:org/model", train: `${hub}/train.tsv`, out: "hf:org/new" });
  await expect(run.next()).rejects.toThrow(code("READ_ONLY_FOLDER"));
});

test("Node takes the variables that Hugging Face's tools take", () => {
  const of = (env: Record<string, string>) => nodeDownloads({ XDG_CACHE_HOME: "/c", ...env });
  expect(of({}).cache?.folder).toBe("/c/huggingface/hub");
  expect(of({ HF_HOME: "/h" }).cache?.folder).toBe("/h/hub");
  expect(of({ HF_HOME: "/h", HF_HUB_CACHE: "/k" }).cache?.folder).toBe("/k");
  expect(of({ HF_ENDPOINT: "http://mirror/", HF_TOKEN: "t", HF_HUB_OFFLINE: "1" })).toMatchObject({
    ...{ endpoint: "http://mirror", token: "t", offline: true },
  });
});
