// limbeck predict: label and score of texts, given as arguments or as lines on stdin. One line of output per text, in order.

import { Command } from "commander";
import { InputError } from "../errors.ts";
import type { Classifier, ClassifierOptions, TextOrPair } from "../index.ts";
import { addOptions, OWN, resolveOptions } from "./options.ts";
import { type Output, outputFor } from "./output.ts";

/** Lines of stdin that are classified together at most. */
const TOGETHER = 256;

export function predictCommand(): Command {
  const command = new Command("predict")
    .description("label and score of texts: arguments, or lines on stdin")
    .argument("[texts...]", "texts to classify")
    .option("--pair", "texts are pairs: two arguments each, or two columns with a tab between")
    .addHelpText(
      "after",
      `
Examples:
  limbeck predict --model student/ "no movement , no yuks" "a delight"
  cut -f 1 texts.tsv | limbeck predict --model student/ > labels.tsv`,
    );
  return addOptions(command, [OWN.model("folder of the model")], ["length", "device"]).action(
    async (texts: string[], flags: { pair?: boolean }, self: Command) => {
      const options = await resolveOptions(self, ["model"]);
      const output = outputFor(options.json === true);
      const { loadModel } = await import("../index.ts");
      const classifier = await loadModel(String(options.model), options as ClassifierOptions);
      try {
        const printer = new Printer(classifier, output);
        if (texts.length === 0 && process.stdin.isTTY) output.remark("one text per line; Ctrl-D ends");
        if (texts.length > 0) await printer.print(flags.pair ? pairsOf(texts) : texts);
        else
          for await (const lines of linesOf(process.stdin)) await printer.print(readLines(lines, flags.pair === true));
        printer.close();
      } finally {
        classifier.dispose();
      }
    },
  );
}

class Printer {
  #done = 0;
  #truncated = 0;

  constructor(
    readonly classifier: Classifier,
    readonly output: Output,
  ) {}

  async print(texts: readonly TextOrPair[]): Promise<void> {
    for (let start = 0; start < texts.length; start += TOGETHER) {
      const part = texts.slice(start, start + TOGETHER);
      const predictions = await this.classifier.predict(part);
      predictions.forEach((prediction, i) => {
        const { label, score, truncated } = prediction;
        const [text, pair] = typeof part[i] === "string" ? [part[i]] : part[i];
        if (truncated) this.#truncated++;
        if (this.output.json) this.output.emit({ type: "prediction", text, pair, ...prediction });
        else this.output.say(label === undefined ? score.toFixed(4) : `${label}\t${score.toFixed(4)}`);
      });
      this.#done += part.length;
    }
  }

  close(): void {
    if (this.#truncated === 0) return;
    this.output.remark(`${this.#truncated} of ${this.#done} texts were longer than the model reads and were cut`);
  }
}

function pairsOf(texts: readonly string[]): [string, string][] {
  if (texts.length % 2 === 1)
    throw new InputError("PAIR", `--pair takes two arguments for each pair, and there are ${texts.length}.`);
  return Array.from({ length: texts.length / 2 }, (_, i) => [texts[2 * i], texts[2 * i + 1]]);
}

interface Lines {
  /** Number of the first one, from 1. */
  readonly from: number;
  readonly lines: readonly string[];
}

function readLines({ from, lines }: Lines, pair: boolean): TextOrPair[] {
  return lines.map((line, i) => {
    if (!pair) return line;
    const parts = line.split("\t");
    if (parts.length === 2) return [parts[0], parts[1]];
    throw new InputError("PAIR", `--pair needs two texts with one tab between, found ${parts.length - 1} tabs.`, {
      where: `stdin:${from + i}`,
    });
  });
}

/** Whole lines as they arrive, so that a person who types sees each answer at once. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Lines> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let from = 1;
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (cause) {
      throw new InputError("NOT_UTF8", `the text is not UTF-8 at or after line ${from}.`, { where: "stdin", cause });
    }
  };
  for await (const chunk of stream) {
    const lines = (rest + decode(chunk)).split(/\r?\n/);
    rest = lines.pop() ?? "";
    if (lines.length > 0) yield { from, lines };
    from += lines.length;
  }
  rest += decode();
  if (rest !== "") yield { from, lines: [rest] };
}
