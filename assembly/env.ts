// What the host brings to a module that has threads (WASM imports of module "env").

/** Sleeps until the word at `address` is no longer `value`; may return early, never returns without end. */
export declare function wait(address: usize, value: u32): void;

/** Wakes every thread that sleeps on the word at `address`. */
export declare function wake(address: usize): void;
