// The real command, killed with SIGKILL at seeded random moments and resumed, again and again: when it ends by itself it must have left the very
// bytes of a run that nobody disturbed. A test kills it 20 times, bench/kill.ts 200 times.

import { spawn } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Random } from "../../src/random.ts";

const command = new URL("../../dist/cli.js", import.meta.url).pathname;

export interface Killed {
  /** Runs that came to their end, each after some kills. */
  readonly runs: number;
  readonly kills: number;
  /** Processes that went on behind a checkpoint. */
  readonly resumed: number;
  /** Milliseconds of the undisturbed run. */
  readonly milliseconds: number;
}

/** Without how long it took: files by name. */
async function left(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), "latin1");
    found[name] =
      name === "limbeck.json"
        ? text.replace(/"(seconds|millisecondsPerSentence)": [\d.e-]+/g, "")
        : name === "README.md"
          ? text.replace(/[\d.]+ \|$/gm, "")
          : text;
  }
  return found;
}

/** `args` name everything but the folder; `kills` processes are killed, then one more run is brought to its end. */
export async function killed(cwd: string, args: readonly string[], kills: number, seed: number): Promise<Killed> {
  const random = new Random(seed, "kill");
  /** Exit code and what was said; undefined where the process was killed. */
  const start = (out: string, killAfter?: number) =>
    new Promise<{ code: number | null; said: string }>((resolve) => {
      const child = spawn(process.execPath, [command, ...args, "--out", out, "--resume"], { cwd });
      let said = "";
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding("utf8").on("data", (text) => (said += text));
      const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
      child.on("close", (code) => {
        clearTimeout(timer);
        resolve({ code, said });
      });
    });
  const ended = ({ code, said }: { code: number | null; said: string }) => {
    if (code !== 0) throw new Error(`the command ended with ${code}:\n${said}`);
  };

  const began = performance.now();
  ended(await start("undisturbed"));
  const milliseconds = performance.now() - began;
  const expected = await left(join(cwd, "undisturbed"));
  let [runs, killsSoFar, resumed] = [0, 0, 0];
  const compare = async () => {
    const found = await left(join(cwd, "disturbed"));
    for (const name of new Set([...Object.keys(expected), ...Object.keys(found)]))
      if (found[name] !== expected[name])
        throw new Error(`after ${killsSoFar} kills ${name} is not what an undisturbed run leaves`);
    runs++;
    await rm(join(cwd, "disturbed"), { recursive: true });
  };
  while (killsSoFar < kills) {
    const outcome = await start("disturbed", Math.round(random.uniform() * 1.1 * milliseconds));
    if (outcome.said.includes("goes on behind")) resumed++;
    if (outcome.code === null) killsSoFar++;
    else {
      ended(outcome);
      await compare();
    }
  }
  ended(await start("disturbed"));
  await compare();
  await rm(join(cwd, "undisturbed"), { recursive: true });
  return { runs, kills: killsSoFar, resumed, milliseconds };
}
