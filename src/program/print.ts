// A program as text, one instruction a line: for reading, for comparing two traces, and for naming the first diverging instruction.

import type { Program } from "./program.ts";
import type { Value } from "./value.ts";

function label(value: Value): string {
  const name = value.storage === "temporary" ? `%${value.id}` : value.name || `{${value.data}}`;
  return `${name}[${value.shape}]`;
}

export function print(program: Program): string {
  const lines = program.instructions.map(({ op, inputs, output, accumulate, attributes }) => {
    const from = inputs.flatMap((input) => (input === null ? ["–"] : [input].flat().map(label)));
    const into = output ? `${label(output)} ${accumulate ? "+=" : "="} ` : "";
    const extra = Object.entries(attributes).map(([key, value]) => `${key}=${value}`);
    return `  ${into}${op.name}(${[...from, ...extra].join(", ")})`;
  });
  return [`${program.name} {`, ...lines, "}"].join("\n");
}
