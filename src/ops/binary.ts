// Element-wise functions of two arguments: one op, a table. The second may be one number for all ([1]).

import { Binary } from "../../assembly/opcodes.ts";
import { elements } from "../program/dispatch.ts";
import { defineOp } from "../program/op.ts";
import { sizeOf, type Value } from "../program/value.ts";

const table: Record<Binary, (a: number, b: number) => number> = {
  [Binary.add]: (a, b) => a + b,
  [Binary.sub]: (a, b) => a - b,
  [Binary.mul]: (a, b) => a * b,
  [Binary.div]: (a, b) => a / b,
};

export const binary = defineOp<{ kind: Binary }>()({
  name: "binary",
  inputs: { a: "...", b: "...|1" },
  output: "...",
  parameters: ({ total }, { kind }, [, b]) => [total, sizeOf(b as Value), kind as number],
  dispatches: ({ total }) => [{ entry: "binary", grid: elements(total) }],
  gradient: ({ dy, inputs: { a, b }, attributes }) => {
    const ofA = {
      [Binary.add]: () => dy,
      [Binary.sub]: () => dy,
      [Binary.mul]: () => mul(dy, b),
      [Binary.div]: () => div(dy, b),
    };
    // A broadcast second argument is a number from the host (a weight, a temperature): it has no gradient.
    const ofB = {
      [Binary.add]: () => dy,
      [Binary.sub]: () => mul(dy, dy.trace.constant([-1])),
      [Binary.mul]: () => mul(dy, a),
      [Binary.div]: () => mul(div(mul(dy, a), mul(b, b)), dy.trace.constant([-1])),
    };
    const kind = attributes.kind as Binary;
    return sizeOf(a) === sizeOf(b) ? { a: ofA[kind], b: ofB[kind] } : { a: ofA[kind] };
  },
  formula: ({ inputs: { a, b }, out, attributes }) => {
    const f = table[attributes.kind as Binary];
    for (let i = 0; i < out.length; i++) out[i] = f(a[i], b[b.length === 1 ? 0 : i]);
  },
});

export const add = (a: Value, b: Value): Value => binary({ a, b }, { kind: Binary.add });
export const sub = (a: Value, b: Value): Value => binary({ a, b }, { kind: Binary.sub });
export const mul = (a: Value, b: Value): Value => binary({ a, b }, { kind: Binary.mul });
export const div = (a: Value, b: Value): Value => binary({ a, b }, { kind: Binary.div });
