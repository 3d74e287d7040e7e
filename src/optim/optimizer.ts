// What an optimiser is: an op that updates one parameter in place from its gradient and two moments, and the numbers that the op reads.
// The mathematics is in src/ops/, a file of that name.

import { globalNorm, keep } from "../ops/index.ts";
import type { Trace } from "../program/program.ts";
import type { Value } from "../program/value.ts";

export interface OptimizerOptions {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  /** Gradients are scaled down to this norm; 0: no clipping. */
  maxNorm: number;
}

/** What an update reads and writes of one parameter. */
export interface Updated {
  /** The parameter, its gradient and its moments, all of one shape. */
  readonly w: Value;
  readonly g: Value;
  readonly m: Value;
  readonly v: Value;
  /** [lr, β₁, β₂, ε, λ, 1−β₁ᵗ, √(1−β₂ᵗ), maxNorm]; an op without bias correction leaves the corrections unread. */
  readonly hyper: Value;
  /** Norm of all gradients together. [1] */
  readonly norm: Value;
}

export interface Optimizer {
  readonly name: string;
  readonly defaults: OptimizerOptions;
  /** Traces the update of one parameter; its gradient is zero afterwards. */
  update(of: Updated, attributes: { decay: boolean }): void;
}

/** Names of the inputs and metrics that the update program shares with the host. */
export const HYPER = { name: "optimizer/hyper", shape: [8], dtype: "f32" } as const;
export const GRADIENT_NORM = { name: "metrics/gradientNorm", shape: [1], dtype: "f32" } as const;

/** Where the gradient and the moments of a parameter live. */
export const companions = (name: string): { gradient: string; m: string; v: string } => ({
  gradient: `gradient/${name}`,
  m: `m/${name}`,
  v: `v/${name}`,
});

/** BERT's rule: biases and the weights of norms, the vectors among the parameters, are not decayed. */
function decays(shape: readonly number[]): boolean {
  return shape.length > 1;
}

/**
 * Traces the update of all parameters (state name → shape); returns the norm of their gradients, and of `guard`: nothing is updated where
 * that is not finite.
 */
export function traceUpdate(
  trace: Trace,
  optimizer: Optimizer,
  parameters: ReadonlyMap<string, readonly number[]>,
  guard?: Value,
): Value {
  const gradients = [...parameters].map(([name, shape]) => trace.state(companions(name).gradient, shape));
  const tensors = guard ? [...gradients, guard] : gradients;
  const norm = keep(globalNorm({ tensors }, {}), GRADIENT_NORM.name);
  const hyper = trace.input(HYPER.name, HYPER.shape);
  for (const [name, shape] of parameters) {
    const state = (at: string) => trace.state(at, shape);
    const { gradient, m, v } = companions(name);
    const of = { w: state(name), g: state(gradient), m: state(m), v: state(v), hyper, norm };
    optimizer.update(of, { decay: decays(shape) });
  }
  return norm;
}

/** The host's side of every optimiser: powers of β as running products, because `**` differs between engines. */
export class Clock {
  #power1 = 1;
  #power2 = 1;

  constructor(readonly options: OptimizerOptions) {}

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
