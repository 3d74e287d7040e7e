// AdamW as a Program over state, and the numbers that it needs at each update. The mathematics is in ops/adamw.ts.

import { adamw, globalNorm, keep } from "../ops/index.ts";
import type { Trace } from "../program/program.ts";

export interface AdamWOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** Gradients are scaled down to this global norm; 0: no clipping. */
  maxNorm: number;
}

export const ADAMW: AdamWOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, maxNorm: 1 };

/** Names of the inputs and metrics that the update program shares with the host. */
export const HYPER = { name: "optimizer/hyper", shape: [8], dtype: "f32" } as const;
export const GRADIENT_NORM = { name: "metrics/gradientNorm", shape: [1], dtype: "f32" } as const;

/** BERT's rule: biases and the weights of norms, the vectors among the parameters, are not decayed. */
function decays(shape: readonly number[]): boolean {
  return shape.length > 1;
}

/** Where the gradient and the moments of a parameter live. */
export const companions = (name: string): { gradient: string; m: string; v: string } => ({
  gradient: `gradient/${name}`,
  m: `m/${name}`,
  v: `v/${name}`,
});

/** Traces the update of all parameters (state name → shape); gradients are zero afterwards. */
export function adamwUpdate(trace: Trace, parameters: ReadonlyMap<string, readonly number[]>): void {
  const tensors = [...parameters].map(([name, shape]) => trace.state(companions(name).gradient, shape));
  const norm = keep(globalNorm({ tensors }, {}), GRADIENT_NORM.name);
  const hyper = trace.input(HYPER.name, HYPER.shape);
  for (const [name, shape] of parameters) {
    const state = (at: string) => trace.state(at, shape);
    const { gradient, m, v } = companions(name);
    adamw({ w: state(name), g: state(gradient), m: state(m), v: state(v), hyper, norm }, { decay: decays(shape) });
  }
}

/** The host's side: powers of β as running products, because `**` differs between engines. */
export class AdamWClock {
  #power1 = 1;
  #power2 = 1;

  constructor(readonly options: AdamWOptions) {}

  /** What the next update depends on, to be kept and given back. */
  get state(): Readonly<Record<string, number>> {
    return { power1: this.#power1, power2: this.#power2 };
  }

  set state({ power1, power2 }) {
    [this.#power1, this.#power2] = [power1, power2];
  }

  /** Numbers of the next update. */
  next(learningRate: number): Float64Array {
    const { beta1, beta2, epsilon, weightDecay, maxNorm } = this.options;
    this.#power1 *= beta1;
    this.#power2 *= beta2;
    const corrections = [1 - this.#power1, Math.sqrt(1 - this.#power2)];
    return Float64Array.of(learningRate, beta1, beta2, epsilon, weightDecay, ...corrections, maxNorm);
  }
}
