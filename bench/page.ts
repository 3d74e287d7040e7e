// A page that trains: while limbeck/web distils in its worker, the page draws a frame whenever the browser lets it. Fails when the time from one frame
// to the next is over 50 ms at the 95th percentile, or when the trainer's memory grows after step 50.
//   npm run bench -- page [--steps 400] [--threads 2]

import { parseArgs } from "node:util";
import { launch } from "puppeteer-core";
import { browsers, find } from "../test/hosts/remote.ts";
import { serveSite } from "../test/web/server.ts";
import { machine, table } from "./common.ts";

const LIMIT_MS = 50;
const WARM = 50;

const { values } = parseArgs({
  options: { steps: { type: "string", default: "400" }, threads: { type: "string", default: "2" } },
});

/** What pageFrames.ts found. */
interface Found {
  readonly frames: readonly number[];
  readonly idle: readonly number[];
  readonly memory: readonly { readonly step: number; readonly bytes: number }[];
  readonly seconds: number;
}

const at = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
const milliseconds = (x: number) => x.toFixed(1);
const site = await serveSite("bench/pageFrames.ts");
const rows: string[][] = [];
let passed = true;
try {
  console.log(`${machine()}, ${values.steps} steps\n`);
  for (const { name, programs, options } of browsers) {
    const { program } = find(name, programs);
    if (!("path" in program)) {
      console.log(`${name}: ${program.missing}`);
      continue;
    }
    for (const place of ["isolated", "plain"]) {
      const browser = await launch({ ...options, executablePath: program.path, headless: true, protocolTimeout: 0 });
      try {
        const page = await browser.newPage();
        await page.goto(`${site.url}/${place}/`);
        await page.waitForFunction("globalThis.measure !== undefined");
        const found = (await page.evaluate(`measure(${Number(values.steps)}, ${Number(values.threads)})`)) as Found;
        const frames = [...found.frames].sort((a, b) => a - b);
        const idle = [...found.idle].sort((a, b) => a - b);
        const warm = found.memory.filter(({ step }) => step >= WARM);
        const grown = warm[warm.length - 1].bytes - warm[0].bytes;
        passed &&= at(frames, 0.95) <= LIMIT_MS && grown === 0;
        rows.push([
          ...[
            `${name}, ${place}`,
            String(frames.length),
            ...[0.5, 0.95].map((share) => milliseconds(at(frames, share))),
          ],
          ...[milliseconds(frames[frames.length - 1]), milliseconds(at(idle, 0.95))],
          ...[(warm[0].bytes / 1e6).toFixed(1), String(grown), found.seconds.toFixed(1)],
        ]);
      } finally {
        await browser.close();
      }
    }
  }
  const head = ["", "frames", "median ms", "95 % ms", "longest", "idle 95 %", "WASM MB", "grown after step 50", "s"];
  console.log(table(head, rows));
} finally {
  site.close();
}
if (rows.length === 0 || !passed) process.exitCode = 1;
