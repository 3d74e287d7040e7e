// Which process this is, and whether one that left its name behind still runs. A pid comes again, after a restart of the machine at once: so
// it goes with the time when the process began, as the system tells it (Linux: ticks since a boot, and which boot; elsewhere ps).

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { promisify } from "node:util";
import type { ProcessId, Runtime } from "./runtime.ts";

/** Its state (Z: it ended, and its parent has not looked yet) and its start; undefined where the system does not tell. */
async function lookUp(pid: number): Promise<{ state: string; started: string } | undefined> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "latin1"),
      readFile("/proc/sys/kernel/random/boot_id", "latin1"),
    ]);
    // The second field is the program's name in brackets, which may hold anything; the 22nd is the start.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state, started: `${boot.trim()} ${fields[18]}` };
  } catch {
    const ps = promisify(execFile)("ps", ["-o", "state=,lstart=", "-p", String(pid)]);
    const [state, ...started] = await ps.then(({ stdout }) => stdout.trim().split(/\s+/)).catch(() => []);
    return started.length > 0 ? { state, started: started.join(" ") } : undefined;
  }
}

/** Of this host. Signal 0 reaches nobody: it only asks. */
async function runs({ pid, started }: ProcessId): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const found = await lookUp(pid);
  if (found?.state.startsWith("Z") || found?.state.startsWith("X")) return false;
  return !started || !found || found.started === started;
}

export const processes: Runtime["processes"] = {
  own: async () => ({ host: hostname(), pid: process.pid, started: (await lookUp(process.pid))?.started }),
  runs,
};
