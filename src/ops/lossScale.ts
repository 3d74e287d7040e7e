// The scale of the loss after an update (torch.amp.GradScaler): s ← s/2 if the norm of the gradients is not finite, as then the update was
// refused; s ← 2s after 2000 updates in a row that were not.

import { LOSS_GROWTH } from "../../assembly/opcodes.ts";
import { defineOp } from "../program/op.ts";

export const lossScale = defineOp<Record<string, never>>()({
  name: "lossScale",
  /** state: s, 1/s, updates since s changed, updates refused. */
  inputs: { state: "4", norm: "1" },
  output: null,
  writes: ["state"],
  parameters: () => [],
  dispatches: () => [{ entry: "lossScale", grid: [1, 1, 1], bind: ["state", "norm"] }],
  formula: ({ inputs: { state, norm } }) => {
    const good = Number.isFinite(norm[0]);
    const stood = good ? state[2] + 1 : 0;
    const grows = stood === LOSS_GROWTH;
    const scale = state[0] * (good ? (grows ? 2 : 1) : 0.5);
    state.set([scale, 1 / scale, grows ? 0 : stood, state[3] + (good ? 0 : 1)]);
  },
});
