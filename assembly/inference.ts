// Entry of the WASM module for models that only answer: index.ts without threads, and with the kernels of a forward pass alone. What else an
// executor is given traps here.

import { attentionMix, attentionPairs } from "./kernels/attention";
import { binary } from "./kernels/binary";
import { concat } from "./kernels/concat";
import { copy } from "./kernels/copy";
import { gather } from "./kernels/gather";
import { layerNorm } from "./kernels/layerNorm";
import { lstm } from "./kernels/lstm";
import { matmul } from "./kernels/matmul";
import { noNorm } from "./kernels/noNorm";
import { shift } from "./kernels/shift";
import { softmax } from "./kernels/softmax";
import { unary } from "./kernels/unary";
import { Opcode } from "./opcodes";

export { packWeight } from "./kernels/pack";

/** Runs every command of `list`. */
export function run(list: usize, _ith: u32, _nth: u32, sync: usize): void {
  let cmd = list + 4;
  for (let count = load<u32>(list); count !== 0; count--) {
    dispatch(cmd, sync);
    cmd += (<usize>load<u32>(cmd, 4)) << 2;
  }
}

function dispatch(cmd: usize, sync: usize): void {
  switch (load<u32>(cmd)) {
    case Opcode.matmul:
      matmul(cmd, 0, 1, sync);
      break;
    case Opcode.gather:
      gather(cmd, 0, 1);
      break;
    case Opcode.layerNorm:
      layerNorm(cmd, 0, 1);
      break;
    case Opcode.unary:
      unary(cmd, 0, 1);
      break;
    case Opcode.binary:
      binary(cmd, 0, 1);
      break;
    case Opcode.attentionPairs:
      attentionPairs(cmd, 0, 1);
      break;
    case Opcode.attentionMix:
      attentionMix(cmd, 0, 1);
      break;
    case Opcode.softmax:
      softmax(cmd, 0, 1);
      break;
    case Opcode.copy:
      copy(cmd, 0, 1);
      break;
    case Opcode.noNorm:
      noNorm(cmd, 0, 1);
      break;
    case Opcode.lstm:
      lstm(cmd, 0, 1, sync);
      break;
    case Opcode.shift:
      shift(cmd, 0, 1);
      break;
    case Opcode.concat:
      concat(cmd, 0, 1);
      break;
    default:
      unreachable();
  }
}
