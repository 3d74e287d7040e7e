// How contenders of bench/cpu.ts talk, in any engine: every line on stdin is a number of turns to take, the answer a JSON line with the
// milliseconds of each. A first line of their own says that they are ready, and what else they have to say.

import process from "node:process";
import { createInterface } from "node:readline";

/** `turn` does the work once and waits for it. */
export async function answer(turn, said = {}) {
  console.log(JSON.stringify(said));
  for await (const line of createInterface(process.stdin)) {
    const milliseconds = [];
    for (let i = 0; i < Number(line); i++) {
      const start = performance.now();
      await turn();
      milliseconds.push(performance.now() - start);
    }
    console.log(JSON.stringify({ milliseconds }));
  }
  process.exit(0);
}
