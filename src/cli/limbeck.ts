// All commands under one name.

import { Command } from "commander";
import { VERSION } from "../version.ts";
import { distillCommand } from "./distill.ts";
import { doctorCommand } from "./doctor.ts";
import { evaluateCommand } from "./evaluate.ts";
import { finetuneCommand } from "./finetune.ts";
import { planCommand } from "./plan.ts";
import { predictCommand } from "./predict.ts";
import { pretrainCommand } from "./pretrain.ts";
import { recipesCommand } from "./recipes.ts";

export function limbeck(): Command {
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
  const commands = [
    finetuneCommand,
    distillCommand,
    pretrainCommand,
    evaluateCommand,
    predictCommand,
    planCommand,
    doctorCommand,
    recipesCommand,
  ];
  for (const make of commands) program.addCommand(make());
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}
