// Reverse mode over a traced program: walks the instructions backwards and traces each op's gradient.
// Gradients of parameters go straight into their gradient state, added to what is there, so that a step may have several micro-batches.

import { LimbeckError } from "../errors.ts";
import type { Instruction } from "./program.ts";
import type { Value } from "./value.ts";

/** The two ops that the walk itself needs; src/ops supplies them. */
export interface SumRules {
  add(a: Value, b: Value): Value;
  copy(x: Value): Value;
}

/**
 * Traces Σ dy·d(loss)/d(parameter) for each entry of `targets` (parameter → gradient state of the same shape).
 * loss: [1] with dy = 1, or any shape with dy of that shape. Values that lead to no parameter cost nothing.
 * Returns the parameters that the loss depends on; nothing was added to the gradients of the others.
 */
export function gradient(
  loss: Value,
  targets: ReadonlyMap<Value, Value>,
  rules: SumRules,
  seed: Value = loss.trace.constant([1]),
): Set<Value> {
  const trace = loss.trace;
  const active = new Set<Value>(targets.keys());
  const gradients = new Map<Value, Value>([[loss, seed]]);
  const reached = new Set<Value>();
  const activate = (from: number): void => {
    for (const { inputs, output } of trace.instructions.slice(from))
      if (output && inputs.flat().some((input) => input && active.has(input))) active.add(output);
  };

  /** Instructions from `from` on, backwards. */
  const walk = (from: number): void => {
    for (let i = trace.instructions.length - 1; i >= from; i--) {
      const part = trace.recomputed.find(({ from, to }) => to === i + 1 && from <= i);
      if (!part) {
        back(trace.instructions[i]);
        continue;
      }
      i = part.from;
      if (!part.outputs.some((output) => gradients.has(output))) continue;
      const again = trace.instructions.length;
      part.body().forEach((output, k) => {
        const dy = gradients.get(part.outputs[k]);
        if (dy) gradients.set(output, dy);
      });
      activate(again);
      walk(again);
    }
  };

  const back = ({ op, inputs, output, attributes, dims }: Instruction): void => {
    const dy = output && gradients.get(output);
    if (!output || !dy || !active.has(output)) return;
    gradients.delete(output);
    const named = Object.fromEntries(Object.keys(op.inputs).map((name, i) => [name, inputs[i] as Value]));
    const rule = op.gradient?.({ dy, y: output, inputs: named, attributes, dims });
    for (const [name, input] of Object.entries(named)) {
      if (!input || !active.has(input)) continue;
      const thunk = rule?.[name];
      if (!thunk) throw new LimbeckError("NO_GRADIENT", `${op.name} has no gradient for its input ${name}`);
      const before = trace.instructions.length;
      const contribution = thunk();
      const target = targets.get(input);
      if (target) {
        const maker = trace.instructions.at(-1);
        const direct = trace.instructions.length > before && maker?.output === contribution && maker.op.accumulates;
        reached.add(input);
        trace.retarget(direct ? contribution : rules.copy(contribution), target, true);
      } else {
        const sum = gradients.get(input);
        gradients.set(input, sum ? rules.add(sum, contribution) : contribution);
      }
    }
  };

  activate(0);
  if (!active.has(loss)) throw new LimbeckError("NO_GRADIENT", "the loss does not depend on any trained parameter");
  walk(0);
  return reached;
}
