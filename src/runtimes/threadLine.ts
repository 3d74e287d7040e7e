// What a browser's thread hears of whoever started it, and says: it comes to know what it serves, and is ready. Between them is its worker, or a
// port to it where somebody else made the worker.

import { SYNC_STOP } from "../../assembly/layout.ts";
import { fail, words } from "../executors/thread.ts";
import type { ThreadStart } from "./runtime.ts";

export type ThreadLine = Pick<MessagePort | Worker, "postMessage" | "onmessage" | "onmessageerror">;

export interface StartedThread {
  /** Settled when it serves, rejected when it cannot. */
  readonly serves: Promise<void>;
  /** To be called when its worker could not go on. */
  ended(reason: string): void;
}

export function startOn(line: ThreadLine, start: ThreadStart): StartedThread {
  let ended: StartedThread["ended"] = () => {};
  const serves = new Promise<void>((resolve, reject) => {
    ended = (reason) => {
      const error = new Error(reason);
      reject(error);
      const shared = words(start.memory);
      if (Atomics.load(shared, SYNC_STOP >> 2) === 0) fail(shared, start.ith, error);
    };
    line.onmessage = () => resolve();
    line.onmessageerror = () => ended("the kernels or their memory could not be sent to it");
  });
  line.postMessage(start);
  return { serves, ended };
}

/** Why its worker could not go on, by the event that it ended with. */
export function reasonOf({ message }: Pick<ErrorEvent, "message">): string {
  return message || "its script did not load; serve thread.browser.js beside this one";
}
