// Entry of the WASM module: walks a command list. A list is the number of its commands, then the commands, all u32 words. A command:
//   0 opcode   1 number of its words   2 scratch   3 output (0: none)   4 accumulate (1: output += result)
//   then the inputs' addresses in order (0: absent; a variadic input is preceded by its count), then parameters (floats as their bits).
// Addresses are multiples of 16. Every kernel splits its work by (ith, nth) such that no bit of a result depends on nth.

import { adadelta } from "./kernels/adadelta";
import { adamw } from "./kernels/adamw";
import { attentionMix, attentionMixT, attentionPairs } from "./kernels/attention";
import { bertAdam } from "./kernels/bertAdam";
import { binary } from "./kernels/binary";
import { columnSum } from "./kernels/columnSum";
import { columns, concat } from "./kernels/concat";
import { copy } from "./kernels/copy";
import { crossEntropy, crossEntropyGrad } from "./kernels/crossEntropy";
import { dropout } from "./kernels/dropout";
import { fill } from "./kernels/fill";
import { gather, gatherGrad } from "./kernels/gather";
import { globalNorm } from "./kernels/globalNorm";
import { half } from "./kernels/half";
import { kl, klGrad } from "./kernels/kl";
import { lamb } from "./kernels/lamb";
import { layerNorm, layerNormGradGamma, layerNormGradX } from "./kernels/layerNorm";
import { lossScale } from "./kernels/lossScale";
import { lstm } from "./kernels/lstm";
import { lstmGrad } from "./kernels/lstmGrad";
import { matmul } from "./kernels/matmul";
import { mse, mseGrad } from "./kernels/mse";
import { noNorm } from "./kernels/noNorm";
import { normalize, normalizeGrad } from "./kernels/normalize";
import { shift } from "./kernels/shift";
import { softmax, softmaxGrad } from "./kernels/softmax";
import { sum } from "./kernels/sum";
import { unary, unaryGrad } from "./kernels/unary";
import { Opcode } from "./opcodes";
import { barrier } from "./thread";

export { packWeight } from "./kernels/pack";
export { limit } from "./limit";

/** Runs every command of `list` as thread `ith` of `nth`; all threads call it with the same list and meet after each command. */
export function run(list: usize, ith: u32, nth: u32, sync: usize): void {
  let count = load<u32>(list);
  let cmd = list + 4;
  if (count === 0) barrier(sync, nth);
  for (; count !== 0; count--) {
    dispatch(cmd, ith, nth, sync);
    barrier(sync, nth);
    cmd += (<usize>load<u32>(cmd, 4)) << 2;
  }
}

function dispatch(cmd: usize, ith: u32, nth: u32, sync: usize): void {
  switch (load<u32>(cmd)) {
    case Opcode.matmul:
      matmul(cmd, ith, nth, sync);
      break;
    case Opcode.columnSum:
      columnSum(cmd, ith, nth);
      break;
    case Opcode.gather:
      gather(cmd, ith, nth);
      break;
    case Opcode.gatherGrad:
      gatherGrad(cmd, ith, nth);
      break;
    case Opcode.layerNorm:
      layerNorm(cmd, ith, nth);
      break;
    case Opcode.layerNormGradX:
      layerNormGradX(cmd, ith, nth);
      break;
    case Opcode.layerNormGradGamma:
      layerNormGradGamma(cmd, ith, nth);
      break;
    case Opcode.unary:
      unary(cmd, ith, nth);
      break;
    case Opcode.unaryGrad:
      unaryGrad(cmd, ith, nth);
      break;
    case Opcode.binary:
      binary(cmd, ith, nth);
      break;
    case Opcode.dropout:
      dropout(cmd, ith, nth);
      break;
    case Opcode.attentionPairs:
      attentionPairs(cmd, ith, nth);
      break;
    case Opcode.attentionMix:
      attentionMix(cmd, ith, nth);
      break;
    case Opcode.attentionMixT:
      attentionMixT(cmd, ith, nth);
      break;
    case Opcode.softmax:
      softmax(cmd, ith, nth);
      break;
    case Opcode.softmaxGrad:
      softmaxGrad(cmd, ith, nth);
      break;
    case Opcode.crossEntropy:
      crossEntropy(cmd, ith, nth);
      break;
    case Opcode.crossEntropyGrad:
      crossEntropyGrad(cmd, ith, nth);
      break;
    case Opcode.kl:
      kl(cmd, ith, nth);
      break;
    case Opcode.klGrad:
      klGrad(cmd, ith, nth);
      break;
    case Opcode.mse:
      mse(cmd, ith, nth);
      break;
    case Opcode.mseGrad:
      mseGrad(cmd, ith, nth);
      break;
    case Opcode.normalize:
      normalize(cmd, ith, nth);
      break;
    case Opcode.normalizeGrad:
      normalizeGrad(cmd, ith, nth);
      break;
    case Opcode.sum:
      sum(cmd, ith, nth);
      break;
    case Opcode.fill:
      fill(cmd, ith, nth);
      break;
    case Opcode.copy:
      copy(cmd, ith, nth);
      break;
    case Opcode.globalNorm:
      globalNorm(cmd, ith, nth, sync);
      break;
    case Opcode.adamw:
      adamw(cmd, ith, nth);
      break;
    case Opcode.noNorm:
      noNorm(cmd, ith, nth);
      break;
    case Opcode.bertAdam:
      bertAdam(cmd, ith, nth);
      break;
    case Opcode.lamb:
      lamb(cmd, ith, nth, sync);
      break;
    case Opcode.adadelta:
      adadelta(cmd, ith, nth);
      break;
    case Opcode.lstm:
      lstm(cmd, ith, nth, sync);
      break;
    case Opcode.lstmGrad:
      lstmGrad(cmd, ith, nth, sync);
      break;
    case Opcode.shift:
      shift(cmd, ith, nth);
      break;
    case Opcode.concat:
      concat(cmd, ith, nth);
      break;
    case Opcode.columns:
      columns(cmd, ith, nth);
      break;
    case Opcode.half:
      half(cmd, ith, nth);
      break;
    case Opcode.lossScale:
      lossScale(cmd, ith);
      break;
    default:
      unreachable();
  }
}
