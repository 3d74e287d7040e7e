// The other end of bench/gpuPeers.ts: in a page of Chromium or under Deno it opens contenders and runs what it is told, on one task.

import { type Contender, makeTask, type Task, type TaskSizes, type Unit } from "./task.ts";

/** `place`: where the files of a peer lie that loads some itself. */
export type Open = (task: Task, place: string) => Promise<Contender>;

interface DenoLike {
  readonly stdin: { readonly readable: ReadableStream<Uint8Array> };
  exit(code: number): never;
}

function callsOf(peers: Readonly<Record<string, Open>>) {
  const open = new Map<string, Contender>();
  let task: Task | undefined;
  return {
    /** Says which adapter is here; null where there is none. */
    async begin(sizes: TaskSizes): Promise<string | null> {
      task = makeTask(sizes);
      const adapter = await navigator.gpu?.requestAdapter();
      if (!adapter) return null;
      const { description, vendor, architecture, device } = adapter.info;
      return (
        description || [vendor, architecture, device].filter((word) => word && word !== "0").join(" ") || "no name"
      );
    },
    /** What the contender can do. */
    async open(name: string, place: string): Promise<Unit[]> {
      if (!task) throw new Error("there is no task yet");
      open.set(name, await peers[name](task, place));
      return Object.keys(open.get(name)!.units) as Unit[];
    },
    /** One turn: milliseconds, and the first numbers of the answer. */
    async run(name: string, unit: Unit): Promise<{ milliseconds: number; answer: number[] }> {
      const call = open.get(name)!.units[unit]!;
      const start = performance.now();
      const answer = await call();
      const milliseconds = performance.now() - start;
      return { milliseconds, answer: Array.from({ length: Math.min(8, answer.length) }, (_, i) => answer[i]) };
    },
  };
}

export type Calls = ReturnType<typeof callsOf>;

export async function serve(peers: Readonly<Record<string, Open>>): Promise<void> {
  const calls = callsOf(peers);
  Object.assign(globalThis, { bench: calls });
  const { Deno } = globalThis as { Deno?: DenoLike };
  if (!Deno) return;
  // Calls come as lines of JSON; libraries may print too, so answers are marked.
  const decoder = new TextDecoder();
  const reader = Deno.stdin.readable.getReader();
  let rest = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    rest += decoder.decode(piece.value, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const [name, ...args] = JSON.parse(rest.slice(0, end));
      rest = rest.slice(end + 1);
      const call = calls[name as keyof Calls] as (...args: unknown[]) => Promise<unknown>;
      const answer = await call(...args).then(
        (result) => ({ result }),
        (error) => ({ error: String(error?.message ?? error) }),
      );
      console.log(`@@${JSON.stringify(answer)}`);
    }
  }
  Deno.exit(0);
}
