// The variables by which Hugging Face's own tools are told where models come from and where they are kept.

import { homedir } from "node:os";
import { join } from "node:path";
import type { Downloads } from "../formats/remote.ts";
import { nodeFiles } from "./nodeFiles.ts";

export function downloads(env: Readonly<Record<string, string | undefined>> = process.env): Downloads {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface");
  return {
    cache: nodeFiles(env.HF_HUB_CACHE || join(home, "hub")),
    token: env.HF_TOKEN || undefined,
    endpoint: env.HF_ENDPOINT?.replace(/\/+$/, "") || undefined,
    offline: /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? ""),
  };
}
