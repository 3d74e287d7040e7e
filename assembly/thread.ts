// Threads: how work is split and how threads meet. Every thread walks the same command list and meets the others after each command.

import * as env from "./env";
import { SYNC_ARRIVED, SYNC_CLAIMED, SYNC_FAILED, SYNC_GENERATION, SYNC_SLEEPERS } from "./layout";

// A few microseconds: less than a sleep and a wake cost, and little lost when another program holds the core of the thread waited for.
const SPINS: u32 = 3000;

/** First item of thread `ith` when `count` items are split evenly; the end of one thread is the start of the next. */
export function share(count: u32, ith: u32, nth: u32): u32 {
  return <u32>((<u64>count * ith) / nth);
}

/**
 * The next of items 0, 1, … that no thread has claimed since they met; `before` is the last one that this thread got, −1 before its first.
 * A thread on a slow or busy core gets fewer.
 */
export function claim(sync: usize, nth: u32, before: u32): u32 {
  if (ASC_FEATURE_THREADS) {
    if (nth !== 1) return atomic.add<u32>(sync, 1, SYNC_CLAIMED);
  }
  return before + 1;
}

/** Returns when all `nth` threads have called it. */
export function barrier(sync: usize, nth: u32): void {
  if (nth === 1) return;
  if (ASC_FEATURE_THREADS) {
    const generation = atomic.load<u32>(sync, SYNC_GENERATION);
    // A thread that fails says so, then advances the generation: seen here or after the wait, whichever side of it this thread is on.
    if (atomic.load<u32>(sync, SYNC_FAILED) !== 0) unreachable();
    if (atomic.add<u32>(sync, 1, SYNC_ARRIVED) === nth - 1) {
      atomic.store<u32>(sync, 0, SYNC_ARRIVED);
      atomic.store<u32>(sync, 0, SYNC_CLAIMED);
      atomic.add<u32>(sync, 1, SYNC_GENERATION);
      if (atomic.load<u32>(sync, SYNC_SLEEPERS) !== 0) env.wake(sync + SYNC_GENERATION);
    } else {
      let spins = SPINS;
      while (atomic.load<u32>(sync, SYNC_GENERATION) === generation) {
        if (spins !== 0) {
          spins -= 1;
        } else {
          // A sleeper announces itself before it looks again; the last to arrive advances the generation before it looks for sleepers.
          atomic.add<u32>(sync, 1, SYNC_SLEEPERS);
          env.wait(sync + SYNC_GENERATION, generation);
          atomic.sub<u32>(sync, 1, SYNC_SLEEPERS);
        }
      }
    }
    if (atomic.load<u32>(sync, SYNC_FAILED) !== 0) unreachable();
  }
}
