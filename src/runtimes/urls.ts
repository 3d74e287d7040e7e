// What hosts without a file system have of the network: folders, files and compiled modules under URLs.

import { InputError, LimbeckError } from "../errors.ts";
import { wasmFeatures } from "../executors/wasmFeatures.ts";
import { readUrl, remoteFolder } from "../formats/remote.ts";
import type { Runtime } from "./runtime.ts";

/** Where relative addresses begin: at the page, or at the script of a worker. */
const base = () => globalThis.location?.href;

function absolute(path: string): string {
  try {
    return new URL(path, base()).href;
  } catch (cause) {
    throw new InputError("NO_PATHS", "there are no paths here; give a URL, or the files themselves.", {
      where: path,
      cause,
    });
  }
}

const downloads = () => ({ origin: globalThis.location?.origin });

export const urls = {
  downloads,

  folder: (path: string) => remoteFolder(absolute(path), downloads()),

  readFile: async (path: string) => readUrl(absolute(path), downloads()),
} satisfies Partial<Runtime>;

export async function fetchModule(url: URL): Promise<WebAssembly.Module> {
  const failed = (why: string, cause?: unknown) =>
    new LimbeckError("NOT_BUILT", `the compiled kernels did not load: ${why}`, { where: url.href, cause });
  const missing = (why: string, cause?: unknown) =>
    failed(`${why}; serve the .wasm files of dist/ beside the script.`, cause);
  const response = await fetch(url).catch((cause) => {
    throw missing(cause.message, cause);
  });
  if (!response.ok) throw missing(`the server answered ${response.status}`);
  const bytes = await response.arrayBuffer();
  return WebAssembly.compile(bytes).catch((cause) => {
    if (!wasmFeatures().simd)
      throw failed("this engine has no SIMD in WebAssembly; use a newer one (all have had it since 2023).", cause);
    throw failed(
      `${cause.message}; if the page has a Content-Security-Policy, its script-src needs 'wasm-unsafe-eval'.`,
      cause,
    );
  });
}
