// A WASM run blocks its thread. Between runs a loop calls this: every 50 ms it lets timers, signals and input in.

export function breather(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await turn();
    last = performance.now();
  };
}

/**
 * One turn of the event loop. Browsers make nested timers wait for 4 ms, and those of a tab that nobody sees for much longer; messages never wait.
 * Hosts without tabs are those that have setImmediate, and there an open port would keep the process alive.
 */
export function turn(): Promise<void> {
  if ("setImmediate" in globalThis || typeof MessageChannel === "undefined")
    return new Promise((resolve) => setTimeout(resolve, 0));
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
