// limbeck distill: a teacher, or several, and text become a small student.

import { Command } from "commander";
import type { DistillOptions } from "../index.ts";
import { addOptions, OWN, type Resolved, resolveOptions } from "./options.ts";
import { commonOptions, follow } from "./training.ts";

export function distillCommand(): Command {
  const command = new Command("distill")
    .description("train a small student from a teacher; rows without a label are welcome")
    .addHelpText(
      "after",
      `
Examples:
  limbeck distill --teacher teacher/ --student layers:3 --recipe pkd-skip --train train.tsv --eval dev.tsv --out student/
  limbeck distill --teacher a/,b/ --student bert:4x312 --train texts.tsv --temperature 2 --out student/`,
    );
  return addOptions(
    command,
    [OWN.teacher("folder of the teacher; several, with commas, are an ensemble"), OWN.student, OWN.train, OWN.eval],
    ["distillation", "augmentation", "cache", "output", "training", "length", "data", "device"],
  ).action(async (_, self: Command) => {
    const options = await resolveOptions(self, ["student", "out"]);
    const { distill } = await import("../index.ts");
    await follow(options, (signal) => distill({ ...distillOptions(options), signal }));
  });
}

export function distillOptions(o: Resolved): DistillOptions {
  return { ...commonOptions(o), normalizePatience: o.normalize as boolean | undefined } as unknown as DistillOptions;
}
