// The real command, killed with SIGKILL at random moments and resumed, until it ends by itself: each time with the bytes of an undisturbed run, or
// this fails. Half of the kills hit a fine-tuning, half a distillation of two stages with matrices of its own.
//   npm run bench -- kill [--kills 200] [--seed 1]

import { parseArgs } from "node:util";
import { finetune } from "../src/index.ts";
import { killed } from "../test/cli/kill.ts";
import { makeTiny } from "../test/cli/tiny.ts";
import { machine, table } from "./common.ts";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "200" }, seed: { type: "string", default: "1" } },
});
const shared =
  "--train train.tsv --eval dev.tsv --device wasm --batch-size 4 --gradient-accumulation-steps 2 --save-steps 5";
const commands = {
  "fine-tuning": `finetune --model base ${shared} --epochs 20`,
  "two stages": `distill --teacher teacher --student bert:1x16x2 --recipe tinybert ${shared} --epochs 10 --stage intermediate.epochs=10 --stage intermediate.batch-size=8`,
};

const tiny = await makeTiny();
try {
  await finetune({
    ...{ model: `${tiny.folder}/base`, train: `${tiny.folder}/train.tsv`, out: `${tiny.folder}/teacher` },
    ...{ device: "wasm", threads: 1, maxSteps: 5 },
  }).result;
  const rows: string[][] = [];
  for (const [i, [name, command]] of Object.entries(commands).entries()) {
    const half = Math.ceil(Number(values.kills) / 2);
    const found = await killed(tiny.folder, command.split(" "), half, Number(values.seed) + i);
    rows.push([name, found.kills, found.resumed, found.runs, Math.round(found.milliseconds)].map(String));
  }
  console.log(`${machine()}\n`);
  console.log(
    table(["", "kills", "went on behind a checkpoint", "runs to the end, all alike", "ms undisturbed"], rows),
  );
} finally {
  await tiny.remove();
}
