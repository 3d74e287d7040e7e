// The scale of the loss after an update: halved if the norm was not finite, doubled after LOSS_GROWTH updates that it stood.
// words: 5 state[4] = s, 1/s, updates since s changed, updates refused, 6 norm[1]

import { LOSS_GROWTH } from "../opcodes";

export function lossScale(cmd: usize, ith: u32): void {
  if (ith !== 0) return;
  const state = load<u32>(cmd, 4 * 5);
  const norm = load<f32>(load<u32>(cmd, 4 * 6));
  const good = norm - norm === 0;
  const stood: f32 = good ? load<f32>(state, 8) + 1 : 0;
  const grows = stood === <f32>LOSS_GROWTH;
  const s: f32 = load<f32>(state) * (good ? (grows ? <f32>2 : <f32>1) : <f32>0.5);
  store<f32>(state, s);
  store<f32>(state, 1 / s, 4);
  store<f32>(state, grows ? 0 : stood, 8);
  if (!good) store<f32>(state, load<f32>(state, 12) + 1, 12);
}
