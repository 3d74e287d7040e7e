// Runs the bundled tests in this host and prints one line of JSON per test, which remote.ts reads. With --list it only names them.

import tests from "limbeck:tests";
import { collectTests, startTests, type Task, type TaskResult, type Test, type VitestRunner } from "@vitest/runner";
import { here } from "./here.ts";
import { type Line, PREFIX } from "./line.ts";
import { config } from "./vitest.ts";

const print = (line: Line) => console.log(PREFIX + JSON.stringify(line));
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

const runner: VitestRunner = {
  config,
  importFile: (path) => tests[file(path)](),
  onAfterRunTask: report,
};

const list = globalThis.process?.argv?.includes("--list");
if (!list) {
  const adapter = await (await here.runtime.gpu?.())?.requestAdapter();
  const { description, vendor, architecture } = adapter?.info ?? {};
  print({ adapter: adapter ? description || `${vendor} ${architecture}`.trim() || "an adapter without a name" : null });
}
const paths = Object.keys(tests).map((path) => `/${path}`);
const files = await (list ? collectTests : startTests)(paths, runner);
for (const { filepath, result, tasks } of files) {
  // A file that could not be imported, or a hook that failed, is no test's error.
  const error = result?.errors?.[0];
  if (error) print({ path: [file(filepath)], state: "fail", message: error.message, stack: error.stack });
  if (list)
    for (const test of tasks.flatMap(leaves))
      print({ path: pathOf(test), state: test.mode === "skip" ? "skip" : "pass" });
}
print("end");
