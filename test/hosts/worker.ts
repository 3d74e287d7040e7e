// The bundle as an edge worker, where nothing runs but to answer a request: GET /?only=PATH.

import { run } from "./run.ts";

export default {
  async fetch({ url }: Request): Promise<Response> {
    await run({ only: new URL(url).searchParams.get("only") ?? undefined });
    return new Response();
  },
};
