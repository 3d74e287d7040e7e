// limbeck, the command. Exit codes: 0 done; 1 it failed; 2 usage or bad input; 130 stopped by Ctrl-C.

import { Command, CommanderError } from "commander";
import { InputError, LimbeckError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { distillCommand } from "./distill.ts";
import { evaluateCommand } from "./evaluate.ts";
import { finetuneCommand } from "./finetune.ts";
import { coloured } from "./output.ts";
import { planCommand } from "./plan.ts";
import { predictCommand } from "./predict.ts";

const [FAILED, USAGE] = [1, 2];

function limbeck(): Command {
  const program = new Command("limbeck")
    .description("Distils BERT teachers into small students.")
    .version(VERSION, "-V, --version")
    .addHelpText(
      "after",
      `
Examples:
  limbeck finetune --model DIR --train train.tsv --eval dev.tsv --out teacher/
  limbeck distill  --teacher teacher/ --student layers:3 --train train.tsv --eval dev.tsv --out student/
  limbeck predict  --model student/ "no movement , no yuks"`,
    );
  for (const make of [finetuneCommand, distillCommand, evaluateCommand, predictCommand, planCommand])
    program.addCommand(make());
  for (const command of [program, ...program.commands]) command.exitOverride().helpCommand(false);
  return program;
}

/** The exit code of an error, after saying it. Only what nobody foresaw shows a stack. */
function fail(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  const expected = error instanceof LimbeckError;
  if (expected && process.argv.includes("--json"))
    process.stdout.write(`${JSON.stringify({ type: "error", code: error.code, message: error.message })}\n`);
  const text = expected ? error.message : String((error as Error)?.stack ?? error);
  process.stderr.write(`${coloured(process.stderr) ? "\x1b[31merror:\x1b[39m" : "error:"} ${text}\n`);
  return error instanceof InputError ? USAGE : FAILED;
}

// A reader that went away (`| head`) ends the command, as it does every other.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(FAILED);
});

try {
  await limbeck().parseAsync();
} catch (error) {
  process.exitCode = fail(error);
}
