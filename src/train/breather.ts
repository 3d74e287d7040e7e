// A WASM run blocks its thread. Between runs a loop calls this: every 50 ms it lets timers, signals and input in.

export function breather(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}
