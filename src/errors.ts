// Every error that limbeck throws on purpose. A message says what was found, what was expected and what to do;
// `where` (file, line, tensor or option) leads it. Codes are stable: programs may compare them, and docs/errors.md lists them.
import type { ErrorCode } from "./errorCodes.ts";

export class LimbeckError extends Error {
  readonly code: ErrorCode;
  readonly where: string | undefined;

  constructor(code: ErrorCode, message: string, options: { where?: string; cause?: unknown } = {}) {
    super(options.where ? `${options.where}: ${message}` : message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.where = options.where;
  }
}

/** The user's files, data or options are at fault; the command exits with 2. */
export class InputError extends LimbeckError {}
