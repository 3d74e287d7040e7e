// How a command ends when it cannot do its work.

import { CommanderError } from "commander";
import { InputError, LimbeckError } from "../errors.ts";
import { coloured } from "./output.ts";

const [FAILED, USAGE] = [1, 2];

/** The exit code of an error, after saying it. Only what nobody foresaw shows a stack. */
export function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  const expected = error instanceof LimbeckError;
  if (expected && process.argv.includes("--json"))
    process.stdout.write(`${JSON.stringify({ type: "error", code: error.code, message: error.message })}\n`);
  const { name, message, stack } = Object(error) as Error;
  // Deno's word for a permission that was not given says which one to give.
  const text = expected || name === "NotCapable" ? message : (stack ?? String(error));
  process.stderr.write(`${coloured(process.stderr) ? "\x1b[31merror:\x1b[39m" : "error:"} ${text}\n`);
  return error instanceof InputError ? USAGE : FAILED;
}

/** A reader that went away (`| head`) ends the command, as it ends every other. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(FAILED);
  });
}
