// Threads of limbeck/web: the page makes their workers, at the word of the worker that trains, and hands a port between the two on.
//
// That worker could make them itself, but in Firefox its `new Worker` may never return, and such a worker cannot even be terminated. As long as
// anything listens for workers (the developer tools, WebDriver), a worker that makes another waits until the new one is registered, on a condition
// variable on which the new one waits too for what it has to do; who registers it wakes one of both (SetIsDebuggerRegistered and
// WaitForIsDebuggerRegistered in dom/workers/WorkerPrivate.h, RegisterDebugger in WorkerDebuggerManager.cpp). Firefox ESR 153 on a busy machine stayed
// there in one of about 200. A page waits for nobody.

import type { ThreadStart } from "../runtimes/runtime.ts";
import { reasonOf, type StartedThread, startOn } from "../runtimes/threadLine.ts";
import type { Reply, Request } from "./messages.ts";

type Asked = Extract<Reply, { port: unknown }>;
type Failed = Extract<Request, { failed: unknown }>;

/** On the page: the threads of one worker. */
export class PageThreads {
  readonly #workers: Worker[] = [];

  make({ thread, port }: Asked, failed: (request: Failed) => void): void {
    const ended = (reason: string) => failed({ thread, failed: reason });
    try {
      const worker = new Worker(new URL("thread.browser.js", import.meta.url), { type: "module" });
      worker.onerror = (event) => {
        event.preventDefault();
        ended(reasonOf(event));
      };
      worker.postMessage(undefined, [port]);
      this.#workers.push(worker);
    } catch (error) {
      ended(String(error));
    }
  }

  end(): void {
    for (const worker of this.#workers.splice(0)) worker.terminate();
  }
}

/** In the worker. */
export class AskedThreads {
  readonly #started: StartedThread[] = [];
  readonly #ask: (reply: Asked, transfer: Transferable[]) => void;

  constructor(ask: (reply: Asked, transfer: Transferable[]) => void) {
    this.#ask = ask;
  }

  start(start: ThreadStart): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    const started = startOn(port1, start);
    this.#ask({ thread: this.#started.push(started) - 1, port: port2 }, [port2]);
    return started.serves;
  }

  failed({ thread, failed }: Failed): void {
    this.#started[thread].ended(failed);
  }
}
