// The page of bench/page.ts: frames while a student is trained, and before.

import type * as Web from "../src/web.ts";
import { OPTIONS, reviews, teacherFiles } from "../test/web/inputs.ts";

const web = (await import(new URL("web.js", location.href).href)) as typeof Web;
const teacher = await teacherFiles();

/** Milliseconds from frame to frame until it is ended. */
function watch(): () => number[] {
  const times: number[] = [];
  let last = performance.now();
  let ended = false;
  const frame = () => {
    const now = performance.now();
    times.push(now - last);
    last = now;
    if (!ended) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  return () => {
    ended = true;
    return times;
  };
}

async function measure(steps: number, threads: number): Promise<object> {
  const before = watch();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const idle = before();
  const run = web.distill({
    ...{ ...OPTIONS, teacher, train: reviews(2000), threads },
    ...{ batchSize: 32, epochs: 1000, maxSteps: steps, loggingSteps: 1 },
  });
  const memory: { step: number; bytes: number }[] = [];
  const began = performance.now();
  let frames = () => [] as number[];
  for await (const event of run) {
    if (event.type === "start") frames = watch();
    if (event.type !== "step") continue;
    memory.push({ step: event.step, bytes: event.memoryBytes });
    document.title = `step ${event.step} of ${event.steps}`;
  }
  const found = frames();
  await run.result;
  return { frames: found, idle, memory, seconds: (performance.now() - began) / 1000 };
}

Object.assign(globalThis, { measure });
