// Model folders on the network: `hf:org/model[@revision]` of the Hugging Face hub, and the URL of a folder anywhere. Only the files that somebody
// asks for are fetched. They are kept in the layout of huggingface_hub's own cache, so that either finds what the other has fetched:
//   models--org--model/refs/main             the commit that the branch was at
//   models--org--model/snapshots/COMMIT/     files (there symbolic links into blobs/, which a runtime follows)
//   models--org--model/listings/COMMIT.json  what the commit has: what is absent could else not be told from what was not fetched
// A URL has no commits: url--HASH has a snapshot for each ETag or date of each file, and refs/FILE names the last.
import type { ErrorCode } from "../errorCodes.ts";
import { InputError, LimbeckError } from "../errors.ts";
import { sha256 } from "../sha256.ts";
import { decodeUtf8, type Files, formatCount, readOnlyFiles, toBytes } from "./files.ts";
import { isObject, parseJson } from "./json.ts";

/** How a host downloads. */
export interface Downloads {
  /** Where files are kept; nowhere unless given: each run fetches them. */
  readonly cache?: Files;
  /** Of a Hugging Face account, for what is private or gated. */
  readonly token?: string;
  /** A hub in place of https://huggingface.co. */
  readonly endpoint?: string;
  /** Asks nobody: what the cache has is all there is. */
  readonly offline?: boolean;
  /** Of the page, where there is one: it may read of other servers what they allow it to. */
  readonly origin?: string;
}

/** A file as its server tells of it. */
interface Entry {
  readonly url: string;
  readonly size?: number;
  /** SHA-256, where the hub tells it: of large files. */
  readonly sha256?: string;
  /** Its snapshot in the cache; undefined where nothing tells one version from the next. */
  readonly version?: string;
}

/** Where the files of a folder are. */
interface Source {
  /** undefined: there is no such file. */
  find(name: string): Promise<Entry | undefined>;
  /** Of this source in the cache. */
  home(): Promise<Files | undefined>;
  /** After a file was put into the cache. */
  kept?(name: string, version: string): Promise<void>;
  /** What the user should hear. */
  readonly said: string[];
}

const HUB = "https://huggingface.co";
const HUB_NAME = /^hf:((?:[A-Za-z0-9][\w.-]{0,95}\/)?[A-Za-z0-9][\w.-]{0,95})(?:@(\w[\w./-]{0,255}))?$/;
const COMMIT = /^[0-9a-f]{40}$/;

const isUrl = (source: string) => /^https?:\/\//.test(source);

export const isRemote = (source: string): boolean => source.startsWith("hf:") || isUrl(source);

/** `org/model` of `hf:org/model@revision`. */
export const repositoryOf = (folder: string): string | undefined => HUB_NAME.exec(folder)?.[1];

/** The folder that a name or a URL stands for. Nothing is asked before a file is. */
export function remoteFolder(source: string, downloads: Downloads): Files {
  if (isUrl(source)) return folderOf(source, urlSource(source, downloads), downloads);
  const [, repository, revision = "main"] = HUB_NAME.exec(source) ?? [];
  if (repository === undefined || /\.\.|--/.test(source))
    throw new InputError("REMOTE_NAME", "expected the name of a model as hf:org/model, or hf:org/model@revision.", {
      where: source,
    });
  return folderOf(source, hubSource(source, repository, revision, downloads), downloads);
}

/** One file by its URL. It is not kept. */
export async function readUrl(url: string, downloads: Downloads): Promise<Uint8Array> {
  const response = await request(url, url, downloads);
  if (!response.ok) throw await refused(response, url);
  return receive(response, url, sizeOf(response));
}

function hubSource(where: string, repository: string, revision: string, downloads: Downloads): Source {
  const { cache, endpoint = HUB } = downloads;
  const said: string[] = [];
  const home = cache?.sub(`models--${repository.replace("/", "--")}`);
  /** A branch may be called a/b: folders, as in git. */
  const ref = () => {
    const parts = `refs/${revision}`.split("/");
    const name = parts.pop() as string;
    return home && { folder: parts.reduce((files, part) => files.sub(part), home), name };
  };
  const listingOf = async (commit: string): Promise<Map<string, Entry> | undefined> => {
    const text = await readKept(home?.sub("listings"), `${commit}.json`);
    return text === undefined ? undefined : entries(text, `${repository}/listings/${commit}.json`).files;
  };
  const entries = (text: string, from: string) => {
    const json = parseJson(text, { where: from });
    const [commit, siblings] = isObject(json) ? [json.sha, json.siblings] : [];
    if (typeof commit !== "string" || !COMMIT.test(commit) || !Array.isArray(siblings))
      throw new LimbeckError("HUB_ANSWER", "expected sha and siblings of a model; is this a Hugging Face hub?", {
        where: from,
      });
    const files = new Map<string, Entry>();
    for (const file of siblings) {
      if (!isObject(file) || typeof file.rfilename !== "string") continue;
      const large = isObject(file.lfs) ? file.lfs : {};
      files.set(file.rfilename, {
        url: `${endpoint}/${repository}/resolve/${commit}/${file.rfilename}`,
        ...(typeof file.size === "number" ? { size: file.size } : {}),
        ...(typeof large.sha256 === "string" ? { sha256: large.sha256 } : {}),
        version: commit,
      });
    }
    return { commit, files };
  };
  const ask = async () => {
    const url = `${endpoint}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const response = await request(url, where, downloads);
    if (!response.ok) throw await refused(response, where);
    const text = decodeUtf8(await receive(response, where, undefined), where, "NOT_UTF8");
    const found = entries(text, where);
    await keep(said, async () => {
      await writeKept(home?.sub("listings"), `${found.commit}.json`, text);
      const { folder, name } = ref() ?? {};
      if (!COMMIT.test(revision)) await writeKept(folder, name as string, found.commit);
    });
    return found.files;
  };
  const list = async (): Promise<Map<string, Entry>> => {
    const pinned = COMMIT.test(revision) ? await listingOf(revision) : undefined;
    if (pinned) return pinned;
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error)) throw error;
      const { folder, name } = ref() ?? {};
      const commit = COMMIT.test(revision) ? revision : await readKept(folder, name as string);
      const snapshot = commit === undefined || !COMMIT.test(commit) ? undefined : home?.sub("snapshots").sub(commit);
      if (commit === undefined || !snapshot || !(await snapshot.exists())) throw error;
      said.push(`${where}: commit ${commit.slice(0, 7)} of the cache is used (${reasonOf(error)})`);
      const url = (name: string) => `${endpoint}/${repository}/resolve/${commit}/${name}`;
      return (
        (await listingOf(commit)) ??
        new Map((await snapshot.list()).map((name): [string, Entry] => [name, { url: url(name), version: commit }]))
      );
    }
  };
  let listed: Promise<Map<string, Entry>> | undefined;
  return {
    async find(name) {
      listed ??= list();
      return (await listed).get(name);
    },
    home: async () => home,
    said,
  };
}

function urlSource(source: string, downloads: Downloads): Source {
  const { username, password, search, hash } = new URL(source);
  if (username || password || search || hash)
    throw new InputError("REMOTE_NAME", "the URL of a folder has no password, no ? and no #.", {
      where: source.replace(/\/\/[^/]*@|[?#].*$/g, (found) => (found.endsWith("@") ? "//" : "")),
    });
  const base = source.replace(/\/*$/, "/");
  const said: string[] = [];
  let home: Promise<Files | undefined> | undefined;
  const homeOf = () => {
    home ??= sha256(base).then((hash) => downloads.cache?.sub(`url--${hash.slice(0, 40)}`));
    return home;
  };
  const ask = async (name: string): Promise<Entry | undefined> => {
    const url = `${base}${name}`;
    try {
      let response = await request(url, url, downloads, "HEAD");
      if (response.status === 405 || response.status === 501) response = await request(url, url, downloads);
      await response.body?.cancel();
      // Servers of pages answer with one whatever they are asked for.
      if (response.status === 404 || response.headers.get("Content-Type")?.startsWith("text/html")) return undefined;
      if (!response.ok) throw await refused(response, url);
      const tag = response.headers.get("ETag") ?? response.headers.get("Last-Modified");
      return { url, ...(tag === null ? {} : { version: (await sha256(tag)).slice(0, 40) }) };
    } catch (error) {
      const refs = (await homeOf())?.sub("refs");
      if (!isPassing(error) || (await readKept(refs, "config.json")) === undefined) throw error;
      if (said.length === 0) said.push(`${source}: the files of the cache are used (${reasonOf(error)})`);
      const version = await readKept(refs, name);
      return version === undefined ? undefined : { url, version };
    }
  };
  const asked = new Map<string, Promise<Entry | undefined>>();
  return {
    find(name) {
      const entry = asked.get(name) ?? ask(name);
      asked.set(name, entry);
      return entry;
    },
    home: homeOf,
    kept: async (name, version) => writeKept((await homeOf())?.sub("refs"), name, version),
    said,
  };
}

function folderOf(folder: string, source: Source, downloads: Downloads): Files {
  let fetched = 0;
  async function read(name: string): Promise<Uint8Array> {
    const where = `${folder}/${name}`;
    const entry = await source.find(name);
    if (!entry) throw new InputError("FILE_NOT_FOUND", "there is no such file.", { where });
    const { version, url, size } = entry;
    const home = await source.home();
    const snapshot = version === undefined ? undefined : home?.sub("snapshots").sub(version);
    const there = snapshot && (await snapshot.exists()) ? await snapshot.size(name) : undefined;
    if (snapshot && there !== undefined && (size === undefined || there === size)) return snapshot.read(name);
    const response = await request(url, where, downloads);
    if (!response.ok) throw await refused(response, where);
    const bytes = await receive(response, where, size ?? sizeOf(response));
    if (entry.sha256 !== undefined && (await sha256(bytes)) !== entry.sha256)
      throw new LimbeckError("DOWNLOAD_DAMAGED", "what arrived has not the SHA-256 that the hub tells; try again.", {
        where,
      });
    fetched += bytes.length;
    await keep(source.said, async () => {
      if (!snapshot || version === undefined) return;
      await makeFolder(snapshot);
      await snapshot.write(name, bytes);
      await source.kept?.(name, version);
    });
    return bytes;
  }
  return {
    ...readOnlyFiles(folder, read, async (name) => {
      const entry = await source.find(name);
      return entry && (entry.size ?? 0);
    }),
    notes: () => [...source.said, ...(fetched > 0 ? [`${folder}: ${formatCount(fetched)} bytes were downloaded`] : [])],
  };
}

async function makeFolder(files: Files): Promise<void> {
  if (await files.exists()) return;
  await files
    .create(async () => {})
    .catch(async (error) => {
      // Two runs may have made it at once.
      if (!(await files.exists())) throw error;
    });
}

async function writeKept(files: Files | undefined, name: string, text: string): Promise<void> {
  if (!files) return;
  await makeFolder(files);
  await files.write(name, toBytes(text));
}

async function readKept(files: Files | undefined, name: string): Promise<string | undefined> {
  if (!files || !(await files.exists()) || (await files.size(name)) === undefined) return undefined;
  return decodeUtf8(await files.read(name), `${files.folder}/${name}`, "NOT_UTF8").trim();
}

/** A cache that cannot be written is no reason to stop: the file is here. */
async function keep(said: string[], write: () => Promise<void>): Promise<void> {
  await write().catch((error) => {
    if (!(error instanceof LimbeckError)) throw error;
    const text = `what is downloaded is not kept: ${error.message}`;
    if (!said.includes(text)) said.push(text);
  });
}

const PASSING: readonly ErrorCode[] = ["OFFLINE", "NO_ANSWER", "SERVER_BUSY"];

/** Of the network, not of the name: what the cache has may do. */
const isPassing = (error: unknown): error is LimbeckError =>
  error instanceof LimbeckError && PASSING.includes(error.code);

const reasonOf = ({ code, message }: LimbeckError) => (code === "OFFLINE" ? "HF_HUB_OFFLINE" : message);

async function request(
  url: string,
  where: string,
  { token, endpoint = HUB, offline, origin }: Downloads,
  method = "GET",
): Promise<Response> {
  if (offline)
    throw new InputError("OFFLINE", "this is not in the cache, and HF_HUB_OFFLINE forbids to ask the network.", {
      where,
    });
  const { origin: server } = new URL(url);
  // fetch takes the header away when another server is redirected to.
  const headers: Record<string, string> = {};
  if (token !== undefined && server === new URL(endpoint).origin) headers.Authorization = `Bearer ${token}`;
  try {
    return await fetch(url, { method, headers });
  } catch (cause) {
    // What a page may not read it may still send for, blindly: so an answer means that the server is there.
    const there =
      origin !== undefined &&
      origin !== server &&
      (await fetch(url, { method: "HEAD", mode: "no-cors" }).catch(() => {}));
    if (there)
      throw new InputError(
        "CORS_REFUSED",
        `${server} does not let pages of ${origin} read this (CORS); have it send Access-Control-Allow-Origin, serve the files beside the page, or give them as files.`,
        { where, cause },
      );
    const { code, message = String(cause) } = ((cause as Error).cause ?? cause) as { code?: string; message?: string };
    const policy = origin === undefined ? "" : ", and whether the page's Content-Security-Policy lets it (connect-src)";
    throw new LimbeckError(
      "NO_ANSWER",
      `${server} does not answer (${code ?? message}); look whether this machine is online and the address right${policy}.`,
      { where, cause },
    );
  }
}

async function refused(response: Response, where: string): Promise<LimbeckError> {
  await response.body?.cancel().catch(() => {});
  const { status } = response;
  const said = `the server answers ${status}`;
  const error = (code: ErrorCode, advice: string) => new InputError(code, `${said}: ${advice}`, { where });
  switch (status) {
    case 401:
      return error(
        "ACCESS_REFUSED",
        "there is no such model, or it is private; give a token that may read it (HF_TOKEN).",
      );
    case 403:
      return error(
        "ACCESS_REFUSED",
        "accept the terms on the model's page, and give a token that may read it (HF_TOKEN).",
      );
    case 404:
      return error("REMOTE_NOT_FOUND", "there is nothing of this name or revision; look how it is spelled.");
    case 429:
      return new LimbeckError("SERVER_BUSY", `${said}: too many requests; wait, or give a token (HF_TOKEN).`, {
        where,
      });
    default:
      return new LimbeckError(status >= 500 ? "SERVER_BUSY" : "SERVER_REFUSED", `${said}; try again later.`, { where });
  }
}

/** Of the body, where the server tells it; of a compressed one it tells another. */
function sizeOf({ headers }: Response): number | undefined {
  const length = headers.get("Content-Length");
  return length === null || headers.get("Content-Encoding") ? undefined : Number(length);
}

async function receive(response: Response, where: string, size: number | undefined): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let received = 0;
  const incomplete = (cause?: unknown) =>
    new LimbeckError(
      "DOWNLOAD_INCOMPLETE",
      `${formatCount(received)} bytes arrived${size === undefined ? "" : `, not ${formatCount(size)}`}; try again.`,
      { where, cause },
    );
  try {
    const reader = response.body?.getReader();
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      chunks.push(next.value);
      received += next.value.length;
      if (size !== undefined && received > size) break;
    }
    await reader?.cancel();
  } catch (cause) {
    throw incomplete(cause);
  }
  if (size !== undefined && received !== size) throw incomplete();
  const bytes = new Uint8Array(received);
  received = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, received);
    received += chunk.length;
  }
  return bytes;
}
