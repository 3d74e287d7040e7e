// Memory for temporaries: each one gets a slot for the time between its making and its last reading.
// Slots, not offsets into one arena, because WebGPU tracks usage per whole buffer (one slot is one buffer there).

import type { Program } from "./program.ts";
import { sizeOf, type Value } from "./value.ts";

export interface Plan {
  /** Bytes of each slot. */
  readonly slots: readonly number[];
  readonly slotOf: ReadonlyMap<Value, number>;
}

interface Life {
  readonly value: Value;
  readonly bytes: number;
  /** Instructions that make it and read it last. */
  readonly from: number;
  to: number;
}

/**
 * The largest first (Pisarchyk & Lee 2020, arXiv:2001.03288, "greedy by size"): into the smallest slot that is free all its life, else
 * into a new one. So a slot is as large as its largest value, and no small value keeps a large one waiting.
 */
export function plan(program: Program, bytesOf = (value: Value): number => 4 * sizeOf(value)): Plan {
  const lives = new Map<Value, Life>();
  program.instructions.forEach(({ inputs, output }, i) => {
    for (const value of [...inputs.flat(), output]) {
      if (value?.storage !== "temporary") continue;
      const life = lives.get(value);
      if (life) life.to = i;
      else lives.set(value, { value, bytes: Math.ceil(bytesOf(value) / 256) * 256, from: i, to: i });
    }
  });
  const slots: { readonly bytes: number; readonly held: Life[] }[] = [];
  const slotOf = new Map<Value, number>();
  // Slots are made in falling size: the last that is free is the smallest.
  for (const life of [...lives.values()].sort((a, b) => b.bytes - a.bytes || a.from - b.from)) {
    const free = slots.findLastIndex(({ held }) => held.every(({ from, to }) => life.to < from || to < life.from));
    const slot = free >= 0 ? free : slots.push({ bytes: life.bytes, held: [] }) - 1;
    slots[slot].held.push(life);
    slotOf.set(life.value, slot);
  }
  return { slots: slots.map(({ bytes }) => bytes), slotOf };
}
