// What contenders of bench/cpu.ts are asked to do, as JSON on their command line.

export interface Work {
  /** step: forward, gradients and optimiser; gradients: without optimiser, as peers that have none. */
  readonly what: "product" | "gradients" | "step" | "predict";
  readonly threads: number;
  /** Of limbeck; strict where it is absent. */
  readonly numerics?: "strict" | "fast";
  readonly product?: { M: number; N: number; K: number; transposeA?: boolean; transposeB?: boolean };
  readonly model?:
    | {
        kind: "bert";
        layers: number;
        width: number;
        heads: number;
        inner: number;
        vocabulary: number;
        dropout?: number;
      }
    | { kind: "bilstm"; embedding: number; hidden: number; classifier: number; vocabulary: number; dropout?: number };
  readonly sequences?: number;
  readonly length?: number;
  readonly optimizer?: string;
  readonly dropout?: number;
}
