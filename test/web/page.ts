// What the tests of limbeck/web do in a page; web.test.ts calls it by name.

import type * as Web from "../../src/web.ts";
import { OPTIONS, reviews, teacherFiles } from "./inputs.ts";

// What a page must not do while others compute for it.
const never = (what: string) => () => {
  throw new Error(`the page's thread called ${what}`);
};
Atomics.wait = never("Atomics.wait");
for (const name of ["compile", "instantiate", "compileStreaming", "instantiateStreaming"] as const)
  WebAssembly[name] = never(`WebAssembly.${name}`);
const violations: string[] = [];
addEventListener("securitypolicyviolation", ({ blockedURI }) => violations.push(blockedURI));

const web = (await import(new URL("web.js", location.href).href)) as typeof Web;
const teacher = await teacherFiles();
const train = reviews(64);

const options = (more: object = {}) => ({ ...OPTIONS, teacher, train, ...more }) as Web.WebOptions<never>;

async function hash(file: Blob | undefined): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", (await file?.arrayBuffer()) ?? new ArrayBuffer(0));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const weights = ({ files }: Web.WebResult) => files?.find(({ name }) => name === "model.safetensors");

/** What an error says, and whether it is of the library's classes. */
async function failure(promise: Promise<unknown>): Promise<object> {
  try {
    return { value: await promise };
  } catch (error) {
    const { code, where, message } = error as Web.LimbeckError;
    return { code, where, message, limbeck: error instanceof web.LimbeckError, input: error instanceof web.InputError };
  }
}

/** Folders that the user dropped on the page: handles as showDirectoryPicker gives them, which may be read. */
const dropped: FileSystemDirectoryHandle[] = [];
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", async (event) => {
  event.preventDefault();
  type Dropped = DataTransferItem & { getAsFileSystemHandle(): Promise<FileSystemDirectoryHandle> };
  const items = Array.from(event.dataTransfer?.items ?? []) as Dropped[];
  dropped.push(...(await Promise.all(items.map((item) => item.getAsFileSystemHandle()))));
  console.log("dropped");
});

/** `opfs:NAME` and `handle:NAME`, of the origin's own storage; `dropped:N`. */
async function handleOf(place: string, create = false): Promise<FileSystemDirectoryHandle> {
  const [kind, path] = place.split(":");
  if (kind === "dropped") return dropped[Number(path)];
  let folder = await navigator.storage.getDirectory();
  for (const name of path.split("/")) folder = await folder.getDirectoryHandle(name, { create });
  return folder;
}

/** The place as limbeck/web takes it. */
const folderAt = async (place: string): Promise<Web.WebFolder> =>
  place.startsWith("opfs:") ? place : handleOf(place, true);

const names = async (folder: FileSystemDirectoryHandle) => {
  const found: string[] = [];
  for await (const { name } of folder.values()) found.push(name);
  return found.sort();
};

const actions = {
  /** A run whose events are taken, and what it made. */
  async distill(more: object) {
    const run = web.distill(options(more));
    const events: string[] = [];
    const notes: string[] = [];
    const losses: number[] = [];
    for await (const event of run) {
      events.push(event.type);
      if (event.type === "note") notes.push(event.text);
      if (event.type === "step") losses.push(event.loss);
    }
    const result = await run.result;
    return {
      ...{ events, notes, losses, complete: result.complete, sha256: result.sha256, hash: await hash(weights(result)) },
      ...{ files: result.files?.map(({ name }) => name), isolated: crossOriginIsolated, violations },
    };
  },

  /** A student that is used as it came; data as a File. */
  async use(texts: string[]) {
    const { files } = await web.distill(options({ maxSteps: 4 })).result;
    using model = await web.loadModel(files as File[], { device: "wasm" });
    const data = new File([train.bytes as Uint8Array<ArrayBuffer>], "dev.tsv");
    const [first, second, metrics] = await Promise.all([
      model.predict(texts),
      model.predict(texts),
      model.evaluate(data),
    ]);
    const again = await web.evaluate({ model: files as File[], data, device: "wasm" });
    return { first, second, metrics, again };
  },

  /** Trains until it has done so seen, hidden, seen and hidden again. */
  async switched() {
    const controller = new AbortController();
    const run = web.distill(options({ epochs: 300, threads: 1, signal: controller.signal }));
    const states: string[] = [];
    let since = 0;
    for await (const event of run) {
      if (event.type !== "step") continue;
      since++;
      if (states.at(-1) !== document.visibilityState) {
        states.push(document.visibilityState);
        since = 0;
        console.log(`trains while ${document.visibilityState}`);
      }
      if (states.length === 4 && since === 10) controller.abort();
    }
    const result = await run.result;
    return { states, steps: result.steps, hash: await hash(weights(result)) };
  },

  async abort() {
    const controller = new AbortController();
    const run = web.distill(options({ epochs: 100, signal: controller.signal }));
    for await (const event of run) if (event.type === "step") controller.abort();
    const result = await run.result;
    return { complete: result.complete, files: result.files?.length, steps: result.steps };
  },

  async leave() {
    const run = web.distill(options({ epochs: 100 }));
    const left = (async () => {
      for await (const event of run) if (event.type === "step") break;
    })();
    return [await failure(left), await failure(run.result)];
  },

  async terminate() {
    const run = web.distill(options({ epochs: 100 }));
    for await (const event of run) {
      if (event.type !== "step") continue;
      run.terminate();
      return failure(run.result);
    }
  },

  wrong: () => failure(web.distill(options({ student: "layers:99" })).result),
  unsendable: () => failure(web.distill(options({ recipe: () => {} })).result),
  predict: () => failure(web.loadModel(teacher, { device: "wasm" })),
  load: (source: string) => failure(web.loadModel(source, { device: "wasm" })),

  async workerless() {
    Object.assign(globalThis, { Worker: undefined });
    return failure(web.loadModel(teacher));
  },

  /** A student from a folder of a teacher and of its data, by their handle. */
  async read(place: string) {
    const folder = await handleOf(place);
    const rows = await (await folder.getFileHandle("train.tsv")).getFile();
    const result = await web.distill(options({ teacher: folder, train: rows })).result;
    return hash(weights(result));
  },

  /** What a run says that writes there, and whether it had begun. */
  async write(place: string) {
    const run = web.distill(options({ out: await folderAt(place) }));
    const types: string[] = [];
    const found = await failure(
      (async () => {
        for await (const { type } of run) types.push(type);
      })(),
    );
    return { ...found, stepped: types.includes("step") };
  },

  /** Ended in the middle, and gone on with. */
  async resume(place: string) {
    const out = await folderAt(place);
    const run = web.distill(options({ out, saveSteps: 3 }));
    for await (const event of run)
      if (event.type === "checkpoint") {
        run.terminate();
        break;
      }
    await run.result.catch(() => {});
    console.log("ended in the middle");
    const folder = await handleOf(place);
    const between = await names(folder);
    const resumed = web.distill(options({ out, saveSteps: 3, resume: true }));
    const notes: string[] = [];
    for await (const event of resumed) if (event.type === "note") notes.push(event.text);
    const { sha256, complete } = await resumed.result;
    console.log("resumed");
    const file = await (await folder.getFileHandle("model.safetensors")).getFile();
    using model = await web.loadModel(folder, { device: "wasm" });
    console.log("loaded");
    return {
      ...{ between, notes, complete, sha256, hash: await hash(file), after: await names(folder) },
      name: model.name,
      again: await failure(web.distill(options({ out })).result),
    };
  },

  /** Two runs into one folder. */
  async both(place: string) {
    const out = await folderAt(place);
    const first = web.distill(options({ out, epochs: 200 }));
    for await (const event of first) {
      if (event.type !== "step") continue;
      console.log("the first runs");
      const second = await failure(web.distill(options({ out, overwrite: true, resume: true })).result);
      first.terminate();
      return second;
    }
  },
};

export type Actions = typeof actions;
Object.assign(globalThis, { actions });
