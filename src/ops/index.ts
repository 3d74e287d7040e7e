// All ops, in one place: what models and recipes are written with.

import { gradient as trace } from "../program/grad.ts";
import type { Value } from "../program/value.ts";
import { add } from "./binary.ts";
import { copy } from "./copy.ts";

export { NONE } from "../program/value.ts";
export { adadelta } from "./adadelta.ts";
export { adamw } from "./adamw.ts";
export { attentionMix, attentionMixT, attentionPairs } from "./attention.ts";
export { bertAdam } from "./bertAdam.ts";
export { add, binary, div, mul, sub } from "./binary.ts";
export { columnSum } from "./columnSum.ts";
export { columns, concat } from "./concat.ts";
export { copy } from "./copy.ts";
export { crossEntropy, crossEntropyGrad } from "./crossEntropy.ts";
export { dropout, dropoutAt } from "./dropout.ts";
export { fill } from "./fill.ts";
export { gather, gatherGrad } from "./gather.ts";
export { globalNorm } from "./globalNorm.ts";
export { half, LOSS_SCALE } from "./half.ts";
export { kl, klGrad, softCrossEntropy } from "./kl.ts";
export { lamb } from "./lamb.ts";
export { layerNorm, layerNormGradGamma, layerNormGradX } from "./layerNorm.ts";
export { lossScale } from "./lossScale.ts";
export { lstm } from "./lstm.ts";
export { lstmGrad } from "./lstmGrad.ts";
export { linear, matmul } from "./matmul.ts";
export { mse, mseGrad } from "./mse.ts";
export { noNorm } from "./noNorm.ts";
export { cosineDistance, normalize, normalizeGrad } from "./normalize.ts";
export { shift } from "./shift.ts";
export { softmax, softmaxGrad } from "./softmax.ts";
export { sum } from "./sum.ts";
export { unary, unaryGrad } from "./unary.ts";

/** Traces the gradients of `loss` into `targets` (parameter → gradient state); `dy` is 1 unless given. */
export function gradient(loss: Value, targets: ReadonlyMap<Value, Value>, dy?: Value): Set<Value> {
  return trace(loss, targets, { add, copy: (x) => copy({ x }, {}) }, dy);
}

/** Writes a result to persistent memory under a name: a metric, or what another program reads. */
export function keep(value: Value, name: string): Value {
  const destination = value.trace.input(name, value.shape);
  value.trace.retarget(copy({ x: value }, {}), destination, false);
  return destination;
}
