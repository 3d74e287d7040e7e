// Every parser on mutated inputs (test/fuzz/), by turns. Fails where one ends otherwise than by taking the input or by a typed error, takes over
// a second, or more memory than twice the input and a constant: every input by the growth of the process, and of a sample what is kept of it, by
// the heap after a collection. An input is a function of the seed and its number.
//   npm run bench -- fuzz [--inputs 1000000] [--seed 1] [--target csv] [--show csv:1234]

import { parseArgs } from "node:util";
import { fuzz, type Round, type Verdict } from "../test/fuzz/fuzz.ts";
import { machine, table } from "./common.ts";

const { values: options } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    target: { type: "string" },
    show: { type: "string" },
  },
});

/** What a collector that has not yet run may keep: its young generation and what it grows by. */
const CONSTANT = 64 << 20;
/** What is kept of each so-manieth input of a parser is measured. Such small ones may become objects (JSON does) of up to this size. */
const SAMPLED = 250;
const OBJECTS = 1 << 20;
const SECOND = 1000;
const SHOWN = 20;

interface Seen {
  inputs: number;
  accepted: number;
  bytes: number;
  longest: number;
  /** Growth of the resident memory over one input. */
  most: number;
  /** The most that was kept of one input, beyond twice its size; of how many that was measured. */
  kept: number;
  samples: number;
  codes: Set<string>;
}

const seen = new Map<string, Seen>();
const failures: string[] = [];

const sizeOf = ({ input }: Round) => [...input.values()].reduce((sum, bytes) => sum + bytes.length, 0);

/** Bytes in use. */
function used(): number {
  for (let i = 0; i < 2; i++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Measured {
  readonly milliseconds: number;
  readonly grown: number;
  /** Of a sample. */
  readonly kept?: number;
}

function note(round: Round, { code, wrong }: Verdict, { milliseconds, grown, kept }: Measured): void {
  const { target, number, input } = round;
  const size = sizeOf(round);
  const none = { inputs: 0, accepted: 0, bytes: 0, longest: 0, most: 0, kept: 0, samples: 0, codes: new Set<string>() };
  const own = seen.get(target) ?? none;
  seen.set(target, own);
  const beyond = kept === undefined ? 0 : kept - 2 * size;
  own.kept = Math.max(own.kept, beyond);
  if (kept !== undefined) own.samples++;
  own.inputs++;
  own.bytes += size;
  if (code === "accepted") own.accepted++;
  else own.codes.add(code);
  own.longest = Math.max(own.longest, milliseconds);
  own.most = Math.max(own.most, grown);
  const problems = [
    ...(wrong === undefined ? [] : [wrong]),
    ...(milliseconds > SECOND ? [`${Math.round(milliseconds)} ms`] : []),
    ...(grown > 2 * size + CONSTANT ? [`${Math.round(grown / 2 ** 20)} MiB more for ${size} bytes`] : []),
    ...(beyond > OBJECTS ? [`${kept} bytes kept of ${size}`] : []),
  ];
  for (const problem of problems) {
    failures.push(`${target}:${number}: ${problem}`);
    console.error(`FAILED: ${failures.at(-1)}`);
  }
  if (options.show === `${target}:${number}`)
    for (const [name, bytes] of input)
      console.log(`--- ${name}\n${JSON.stringify(new TextDecoder("latin1").decode(bytes))}`);
}

const began = performance.now();
const head = machine();
/** Milliseconds of this process on a processor: others on the machine do not count. */
const busy = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
for (const round of fuzz(Number(options.seed), Number(options.inputs), options.target ?? options.show?.split(":")[0])) {
  const sampled = round.number % SAMPLED === SAMPLED - 1;
  const live = sampled ? used() : 0;
  const [before, memory] = [busy(), process.memoryUsage.rss()];
  const verdict = await round.judge();
  const [milliseconds, grown] = [busy() - before, process.memoryUsage.rss() - memory];
  const kept = sampled && verdict.kept !== undefined ? used() - live : undefined;
  note(round, verdict, { milliseconds, grown, kept });
  if (failures.length >= SHOWN) break;
}

const count = (n: number) => n.toLocaleString("en");
const rows = [...seen].map(([name, own]) => [
  ...[name, count(own.inputs), `${((100 * own.accepted) / own.inputs).toFixed(0)} %`, String(own.codes.size)],
  ...[count(Math.round(own.bytes / own.inputs)), own.longest.toFixed(0), (own.most / 2 ** 20).toFixed(0)],
  ...[count(own.samples), (own.kept / 1024).toFixed(0)],
]);
const total = [...seen.values()].reduce((sum, own) => sum + own.inputs, 0);
console.log(
  `${count(total)} inputs, seed ${options.seed}, ${Math.round((performance.now() - began) / 1000)} s; ${head}\n`,
);
console.log(
  `${table(["parser", "inputs", "accepted", "codes", "bytes, mean", "longest, ms", "most memory, MiB", "samples", "kept beyond twice, KiB"], rows)}\n`,
);
console.log(`codes: ${[...new Set([...seen.values()].flatMap((own) => [...own.codes]))].sort().join(", ")}\n`);
console.log(`${failures.length} findings`);
if (failures.length > 0) process.exitCode = 1;
