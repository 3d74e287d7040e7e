// Memory for temporaries: each one gets a slot for the time between its making and its last reading.
// Slots, not offsets into one arena, because WebGPU tracks usage per whole buffer (one slot is one buffer there).

import type { Program } from "./program.ts";
import { sizeOf, type Value } from "./value.ts";

export interface Plan {
  /** Bytes of each slot. */
  readonly slots: readonly number[];
  readonly slotOf: ReadonlyMap<Value, number>;
}

/** Best fit: the smallest free slot that is large enough, else the largest free one grown, else a new one. */
export function plan(program: Program): Plan {
  const lastUse = new Map<Value, number>();
  program.instructions.forEach(({ inputs, output }, i) => {
    for (const value of [...inputs.flat(), output]) if (value?.storage === "temporary") lastUse.set(value, i);
  });
  const slots: number[] = [];
  const free = new Set<number>();
  const slotOf = new Map<Value, number>();
  program.instructions.forEach(({ inputs, output }, i) => {
    if (output?.storage === "temporary" && !slotOf.has(output)) {
      const bytes = Math.ceil((sizeOf(output) * 4) / 256) * 256;
      const candidates = [...free].sort((a, b) => slots[a] - slots[b]);
      const slot = candidates.find((s) => slots[s] >= bytes) ?? candidates.at(-1) ?? slots.push(0) - 1;
      slots[slot] = Math.max(slots[slot], bytes);
      free.delete(slot);
      slotOf.set(output, slot);
    }
    for (const value of [...inputs.flat(), output]) {
      const slot = value ? slotOf.get(value) : undefined;
      if (slot !== undefined && lastUse.get(value as Value) === i) free.add(slot);
    }
  });
  return { slots, slotOf };
}
