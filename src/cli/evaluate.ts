// limbeck evaluate: metrics of a model on labelled rows, and the time that a sentence takes.

import { Command } from "commander";
import type { ClassifierOptions } from "../index.ts";
import { addOptions, dataOptions, OWN, resolveOptions } from "./options.ts";
import { count, metricCells, outputFor, table } from "./output.ts";

export function evaluateCommand(): Command {
  const command = new Command("evaluate").description("metrics of a model on a file of labelled text").addHelpText(
    "after",
    `
Example:
  limbeck evaluate --model student/ --data test.tsv`,
  );
  return addOptions(command, [OWN.model("folder of the model"), OWN.data], ["length", "data", "device"]).action(
    async (_, self: Command) => {
      const options = await resolveOptions(self, ["model", "data"]);
      const output = outputFor(options.json === true);
      const { loadModel } = await import("../index.ts");
      const classifier = await loadModel(String(options.model), options as ClassifierOptions);
      try {
        output.remark(classifier.device.choice);
        const judged = await classifier.evaluate(String(options.data), dataOptions(options));
        for (const note of judged.notes) output.remark(note);
        const { metrics, rows, millisecondsPerSentence } = judged;
        output.emit({
          type: "evaluation",
          model: options.model,
          data: options.data,
          rows,
          metrics,
          millisecondsPerSentence,
        });
        const labelled = metrics.count < rows ? ` (${count(metrics.count)} labelled)` : "";
        output.say(
          table([
            ...metricCells(metrics, metrics.pearson !== undefined),
            ["rows", `${count(rows)}${labelled}`],
            ["ms/sentence", millisecondsPerSentence.toFixed(2)],
          ]),
        );
      } finally {
        classifier.dispose();
      }
    },
  );
}
