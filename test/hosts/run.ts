// Runs the bundled tests in this host and prints one line of JSON per test, which remote.ts reads.

import tests from "limbeck:tests";
import { collectTests, startTests, type Task, type TaskResult, type Test, type VitestRunner } from "@vitest/runner";
import { here } from "./here.ts";
import { type Line, PREFIX } from "./line.ts";
import { config } from "./vitest.ts";

const worker = "WorkerGlobalScope" in globalThis && "onmessage" in globalThis;
const print = (line: Line) => (worker ? postMessage : console.log)(PREFIX + JSON.stringify(line));
const file = (path: string) => path.replace(/^\//, "");

function pathOf(task: Task): string[] {
  return task.type === "suite" && "filepath" in task
    ? [file(task.filepath as string)]
    : [...pathOf((task.suite ?? task.file) as Task), task.name];
}

function leaves(task: Task): Test[] {
  return task.type === "test" ? [task] : task.tasks.flatMap(leaves);
}

function report(test: Test): void {
  const { state, errors, note }: Partial<TaskResult> & { note?: string } = test.result ?? {};
  const error = errors?.[0];
  print({
    ...{ path: pathOf(test), state: state === "pass" || state === "fail" ? state : "skip" },
    ...(note !== undefined && { message: note }),
    ...(error && {
      message: `${error.name}: ${error.message}${error.diff ? `\n${error.diff}` : ""}`,
      stack: error.stack,
    }),
  });
}

/** Tests that were not reported yet, by id. */
const waiting = new Map<string, Test>();
const runner: VitestRunner = {
  config,
  importFile: (path) => tests[file(path)](),
  onCollected(files) {
    for (const test of files.flatMap(leaves)) waiting.set(test.id, test);
  },
  // onAfterRunTask does not hear of a test that skips itself.
  async onTaskUpdate(_, events) {
    for (const [id, event] of events) {
      const test = event === "test-finished" && waiting.get(id);
      if (test && waiting.delete(id)) report(test);
    }
  },
};

export interface Wanted {
  /** Tests are only named. */
  readonly list?: boolean;
  /** Those whose file's name begins so, and no GPU is asked for. */
  readonly only?: string;
}

export async function run({ list = false, only }: Wanted): Promise<void> {
  if (only !== undefined) {
    here.webgpu = "0";
    print({ adapter: null });
  } else if (!list) {
    const adapter = await (await here.runtime.gpu?.())?.requestAdapter();
    const { description, vendor, architecture } = adapter?.info ?? {};
    const name = description || `${vendor} ${architecture}`.trim() || "an adapter without a name";
    print({ adapter: adapter ? name : null });
  }
  const paths = Object.keys(tests)
    .filter((path) => path.startsWith(only ?? ""))
    .map((path) => `/${path}`);
  const files = await (list ? collectTests : startTests)(paths, runner);
  // A file that could not be imported, or a hook that failed, is no test's error.
  for (const { filepath, result } of files)
    for (const { message, stack } of result?.errors ?? [])
      print({ path: [file(filepath)], state: "fail", message, stack });
  // Those of a list; and what a suite skipped, which is no event.
  for (const test of waiting.values()) if (list || test.mode === "skip") report(test);
  print("end");
}
