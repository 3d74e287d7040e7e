// Reverse mode over a traced program: walks the instructions backwards and traces each op's gradient.
// Gradients of parameters go straight into their gradient state, added to what is there, so that a step may have several micro-batches.

import { LimbeckError } from "../errors.ts";
import type { Instruction, Part } from "./program.ts";
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
  /** Parameters, and what only passes a gradient on to one. */
  const parameterOf = new Map([...targets.keys()].map((parameter) => [parameter, parameter]));
  for (const { op, inputs, output } of trace.instructions) {
    if (!output || !inputs.flat().some((input) => input && active.has(input))) continue;
    active.add(output);
    const parameter = op.passes && parameterOf.get(inputs[0] as Value);
    if (parameter) parameterOf.set(output, parameter);
  }
  if (!active.has(loss)) throw new LimbeckError("NO_GRADIENT", "the loss does not depend on any trained parameter");

  const gradients = new Map<Value, Value>([[loss, seed]]);
  const reached = new Set<Value>();
  const give = (input: Value, contribution: Value): void => {
    const sum = gradients.get(input);
    gradients.set(input, sum ? rules.add(sum, contribution) : contribution);
  };

  const back = ({ op, inputs, output, attributes, dims }: Instruction, pass = give): void => {
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
      const parameter = parameterOf.get(input);
      const target = parameter && targets.get(parameter);
      if (target) {
        const maker = trace.instructions.at(-1);
        const direct = trace.instructions.length > before && maker?.output === contribution && maker.op.accumulates;
        reached.add(parameter);
        trace.retarget(direct ? contribution : rules.copy(contribution), target, true);
      } else pass(input, contribution);
    }
  };

  /** The gradient of a part, moved right behind it; what it gives to values from outside is added up where it would have stood. */
  const backPart = ({ from, to }: Part): void => {
    const own = new Set(trace.instructions.slice(from, to).map(({ output }) => output));
    const given: [Value, Value][] = [];
    const start = trace.instructions.length;
    for (let i = to - 1; i >= from; i--)
      back(trace.instructions[i], (...pair) => (own.has(pair[0]) ? give(...pair) : given.push(pair)));
    const made = trace.instructions.splice(start);
    const rest = trace.instructions.splice(to);
    // What the part's gradient needs of the rest comes along: how dy was made.
    const needed = new Set(made.flatMap(({ inputs }) => inputs.flat()));
    const along = new Set<Instruction>();
    for (const instruction of [...rest].reverse()) {
      const { inputs, output } = instruction;
      if (output?.storage !== "temporary" || !needed.has(output)) continue;
      along.add(instruction);
      for (const input of inputs.flat()) needed.add(input);
    }
    const stays = rest.filter((instruction) => !along.has(instruction));
    trace.instructions.push(...[...along].reverse(), ...made, ...stays);
    for (const pair of given) give(...pair);
  };

  for (let i = trace.instructions.length - 1; i >= 0; i--) {
    const part = trace.parts.find(({ from, to }) => to === i + 1 && from <= i);
    if (part) backPart(part);
    else back(trace.instructions[i]);
    if (part) i = part.from;
  }
  trace.parts.length = 0;
  return reached;
}
