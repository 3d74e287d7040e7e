// The numbers that the command list is made of, shared by src/executors/wasm.ts (which writes it) and the kernels (which read it).
// One opcode per op; the name is the op's name.

export enum Opcode {
  matmul = 1,
  columnSum = 2,
  gather = 3,
  gatherGrad = 4,
  layerNorm = 5,
  layerNormGradX = 6,
  layerNormGradGamma = 7,
  unary = 8,
  unaryGrad = 9,
  binary = 10,
  dropout = 11,
  attentionPairs = 12,
  attentionMix = 13,
  attentionMixT = 14,
  softmax = 15,
  softmaxGrad = 16,
  crossEntropy = 17,
  crossEntropyGrad = 18,
  kl = 19,
  klGrad = 20,
  mse = 21,
  mseGrad = 22,
  normalize = 23,
  normalizeGrad = 24,
  sum = 25,
  fill = 26,
  copy = 27,
  globalNorm = 29,
  adamw = 30,
  noNorm = 31,
  bertAdam = 32,
  lamb = 33,
  adadelta = 34,
  lstm = 35,
  lstmGrad = 36,
  shift = 37,
  concat = 38,
  columns = 39,
  half = 40,
  lossScale = 41,
}

/** Element-wise functions of one argument (op `unary`). */
export enum Unary {
  gelu = 0,
  geluTanh = 1,
  relu = 2,
  tanh = 3,
  abs = 4,
}

/** Element-wise functions of two arguments (op `binary`). */
export enum Binary {
  add = 0,
  sub = 1,
  mul = 2,
  div = 3,
}

/** Updates after which the scale of the loss (op `lossScale`) is doubled, as torch.amp.GradScaler does. */
export const LOSS_GROWTH = 2000;
