// limbeck finetune: a Hugging Face folder and labelled rows become a classifier or a regressor.

import { Command } from "commander";
import type { FinetuneOptions } from "../index.ts";
import { addOptions, OWN, resolveOptions } from "./options.ts";
import { commonOptions, follow } from "./training.ts";

export function finetuneCommand(): Command {
  const command = new Command("finetune").description("train a BERT or DistilBERT folder on labelled text").addHelpText(
    "after",
    `
Example:
  limbeck finetune --model bert-base/ --train train.tsv --eval dev.tsv --out teacher/`,
  );
  return addOptions(
    command,
    [OWN.model("Hugging Face folder to start from"), OWN.train, OWN.eval],
    [...(["output", "training", "length", "data", "device"] as const)],
  ).action(async (_, self: Command) => {
    const options = await resolveOptions(self, ["model", "train", "out"]);
    const { finetune } = await import("../index.ts");
    await follow(options, (signal) => finetune({ ...commonOptions(options), signal } as unknown as FinetuneOptions));
  });
}
