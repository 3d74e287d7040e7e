// The bundle's script, for hosts that run one. With --list the tests are only named; --only=PATH or, in browsers, ?only=PATH chooses among them.

import { run } from "./run.ts";

const options = globalThis.process?.argv ?? [];
const only = new URLSearchParams(globalThis.location?.search).get("only");
await run({
  list: options.includes("--list"),
  only: only ?? options.find((option) => option.startsWith("--only="))?.slice(7),
});
