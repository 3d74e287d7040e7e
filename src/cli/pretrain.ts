// limbeck pretrain: a model learns to tell masked tokens of plain text.

import { Command } from "commander";
import type { PretrainOptions } from "../index.ts";
import { addOptions, OWN, resolveOptions } from "./options.ts";
import { commonOptions, follow } from "./training.ts";

export function pretrainCommand(): Command {
  const command = new Command("pretrain")
    .description("train a masked-LM head, and the model under it if asked, on plain text")
    .addHelpText(
      "after",
      `
Examples:
  limbeck pretrain --model sentence-encoder/ --text wiki.txt --out mlm/
  limbeck pretrain --model bert:4x312 --tokenizer bert-base/ --text a.txt --text b.txt --epochs 3 --out small/`,
    );
  return addOptions(
    command,
    [
      OWN.model(
        "Hugging Face folder to start from, or a fresh model: bert:LxD[xHxF], distilbert:…, mobilebert:LxDxT, ibbert:LxDxT",
      ),
      OWN.text("plain text, a line a text; may stand several times"),
      OWN.evalText("plain text to judge by (default: the last twentieth of --text)"),
      ...OWN.pretraining,
    ],
    ["output", "training", "length", "device"],
  ).action(async (_, self: Command) => {
    const options = await resolveOptions(self, ["model", "text", "out"]);
    const { pretrain } = await import("../index.ts");
    await follow(options, (signal) => pretrain({ ...commonOptions(options), signal } as unknown as PretrainOptions));
  });
}
