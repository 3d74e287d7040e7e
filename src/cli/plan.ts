// limbeck plan: what a run would take, without training it.

import { Command } from "commander";
import { InputError } from "../errors.ts";
import type { PlanOptions, RunPlan } from "../index.ts";
import { distillOptions } from "./distill.ts";
import { addOptions, OWN, resolveOptions } from "./options.ts";
import { bytes, count, duration, outputFor, table } from "./output.ts";
import { commonOptions } from "./training.ts";

export function planCommand(): Command {
  const command = new Command("plan")
    .description(
      "check everything and say what a run would take: parameters, FLOPs, memory, and the time from a few measured steps",
    )
    .addHelpText(
      "after",
      `
Examples:
  limbeck plan --teacher teacher/ --student bert:4x312 --train train.tsv
  limbeck plan --model bert-base/ --train train.tsv --batch-size 16`,
    );
  return addOptions(
    command,
    [
      OWN.teacher("plan a distillation from this teacher"),
      OWN.student,
      OWN.model("plan the fine-tuning of this folder instead"),
      OWN.train,
      OWN.eval,
    ],
    ["distillation", "augmentation", "output", "training", "length", "data", "device"],
  ).action(async (_, self: Command) => {
    const options = await resolveOptions(self, []);
    const teacher = options.teacher ?? options.softLabelColumns;
    if ((options.model === undefined) === (teacher === undefined))
      throw new InputError(
        "OPTION_MISSING",
        "say --teacher and --student for a distillation, or --model for a fine-tuning.",
      );
    if (teacher !== undefined && options.student === undefined)
      throw new InputError("OPTION_MISSING", "--student is needed for a distillation; see limbeck plan --help.");
    const output = outputFor(options.json === true);
    const { plan } = await import("../index.ts");
    const given = options.model === undefined ? distillOptions(options) : commonOptions(options);
    const planned = await plan(given as unknown as PlanOptions);
    for (const note of planned.notes) output.remark(note);
    output.emit({ type: "plan", ...planned });
    output.say(planText(planned));
  });
}

function planText(plan: RunPlan): string {
  const { memory, probe, largestBatch: largest } = plan;
  const models = plan.models.map(({ role, parameters, bytes: size, flopsPerToken }) => [
    role,
    count(parameters),
    bytes(size),
    flops(flopsPerToken),
  ]);
  return [
    table([["", "parameters", "size", "FLOP/token"], ...models]),
    "",
    table([
      ["rows", count(plan.rows)],
      ["tokens per epoch", count(plan.tokensPerEpoch)],
      ["steps", count(plan.steps)],
      ["tokens in all", count(plan.tokens)],
      ["FLOP per step", flops(plan.flopsPerStep)],
      ["memory: student, gradients, moments", bytes(memory.student)],
      ["memory: teachers", bytes(memory.teachers)],
      ["memory: inputs", bytes(memory.inputs)],
      ["memory: temporaries", bytes(memory.temporaries)],
      ["memory in all", bytes(memory.total)],
      ["memory of the device after the probe", bytes(probe.memoryBytes)],
      [`measured (${probe.steps} steps)`, `${count(probe.tokensPerSecond)} tokens/s`],
      ["", `${flops(probe.flopsPerSecond)}/s`],
      ["training time, about", duration(plan.estimatedSeconds)],
    ]),
    "",
    `largest batch: ${largest.rows} token rows, texts up to ${largest.longest} tokens; evaluations come on top; device: ${plan.device}`,
  ].join("\n");
}

/** 4.2e9 → "4.20 GFLOP". */
function flops(n: number): string {
  const [size, unit] = (
    [
      [1e12, "T"],
      [1e9, "G"],
      [1e6, "M"],
      [1e3, "k"],
      [1, ""],
    ] as const
  ).find(([least]) => n >= least) ?? [1, ""];
  return `${(n / size).toPrecision(3)} ${unit}FLOP`;
}
