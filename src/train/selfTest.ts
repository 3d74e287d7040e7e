// Adapters lie: before a GPU is trusted, every kernel and its gradient runs on small inputs and must agree with the f64 reference.

import { Unary } from "../../assembly/opcodes.ts";
import { LimbeckError } from "../errors.ts";
import { USE_WASM } from "../executors/adapter.ts";
import type { Executor, Numbers, Persistent } from "../executors/executor.ts";
import { ReferenceExecutor } from "../executors/reference.ts";
import {
  adadelta,
  adamw,
  add,
  attentionMix,
  attentionPairs,
  bertAdam,
  concat,
  crossEntropy,
  div,
  dropout,
  gather,
  globalNorm,
  gradient,
  half,
  keep,
  kl,
  lamb,
  layerNorm,
  linear,
  lossScale,
  lstm,
  mse,
  NONE,
  noNorm,
  normalize,
  softmax,
  sum,
  unary,
} from "../ops/index.ts";
import { type Program, Trace } from "../program/program.ts";
import { sizeOf, type Value } from "../program/value.ts";
import { Random } from "../random.ts";

/** f32 keeps about 1e-6 here; a GPU that is a hundred times worse computes something else. */
const BOUND = 1e-4;

/** Random state, differentiated; what is called `square…` is not negative. */
type State = (name: string, ...shape: number[]) => Value;
type Given = (name: string, shape: readonly number[], data: readonly number[], dtype?: "u32") => Value;

/** An optimiser on 5,000 random weights, clipped. */
const update =
  (optimizer: typeof adamw | typeof bertAdam | typeof lamb) =>
  (s: State, f: Given): Value => {
    const [w, g, m, v] = [s("w", 5000), s("g", 5000), s("square m", 5000), s("square v", 5000)];
    const hyper = f("hyper", [8], [1e-2, 0.9, 0.999, 1e-8, 0.1, 0.19, 0.045, 1]);
    const norm = globalNorm({ tensors: [g] }, {});
    return optimizer({ w, g, m, v, hyper, norm, own: norm }, { decay: true, correct: true });
  };

// Sizes that are no multiple of any tile, a sequence that is empty, rows without an id, and a tail.
const cases: Readonly<Record<string, (state: State, given: Given) => Value>> = {
  matmul: (s) => linear(s("x", 37, 50), s("weight", 41, 50), s("bias", 41)),
  matmulInParts: (s) => linear(s("x", 9, 520), s("weight", 17, 520), s("bias", 17)),
  half: (s, f) => {
    // Numbers that half precision holds: devices may round others in their own way.
    const grid = (n: number) =>
      f(
        `${n}`,
        [n, 9],
        Array.from({ length: 9 * n }, (_, i) => ((i * 5) % 23) / 8 - 1),
      );
    return linear(half({ x: grid(7) }, {}), half({ x: grid(5) }, {}), s("bias", 5));
  },
  lossScale: (s, f) => lossScale({ state: s("state", 4), norm: f("norm", [1], [2]) }, {}),
  gather: (s, f) => {
    const [ids, order] = [f("ids", [4], [3, 0, 3, NONE], "u32"), f("order", [4], [1, 0, 2, 3], "u32")];
    // The gradient of one table goes where it is added up, that of the other into rows that must be cleared first.
    const table = unary({ x: s("inner", 9, 40) }, { kind: Unary.relu });
    return add(gather({ table: s("table", 9, 40), ids, order }, {}), gather({ table, ids, order }, {}));
  },
  layerNorm: (s) => layerNorm({ x: s("x", 21, 50), gamma: s("gamma", 50), beta: s("beta", 50) }, { epsilon: 1e-12 }),
  gelu: (s) => unary({ x: s("x", 300) }, { kind: Unary.gelu }),
  geluTanh: (s) => unary({ x: s("x", 300) }, { kind: Unary.geluTanh }),
  tanh: (s) => unary({ x: s("x", 300) }, { kind: Unary.tanh }),
  division: (s, f) => div(s("a", 300), f("b", [1], [3])),
  dropout: (s, f) => dropout({ x: s("x", 301), seed: f("seed", [2], [7, 3], "u32") }, { p: 0.1, site: 5 }),
  attention: (s, f) => {
    const offsets = f("offsets", [5], [0, 5, 5, 22, 29], "u32");
    const scores = attentionPairs({ q: s("q", 32, 40), k: s("k", 32, 40), offsets }, { H: 2, L: 32, scale: 0.25 });
    return attentionMix({ p: softmax({ x: scores, offsets }, {}), v: s("v", 32, 40), offsets }, { scale: 1 });
  },
  lstm: (s, f) => {
    const offsets = f("offsets", [4], [0, 5, 5, 11], "u32");
    const [x, weight] = [s("x", 12, 40), s("weight", 40, 10)];
    return add(lstm({ x, weight, offsets }, { reverse: false }), lstm({ x, weight, offsets }, { reverse: true }));
  },
  sides: (s) => {
    const [a, b] = [s("a", 4, 9), s("b", 4, 9)];
    return concat({ a, b: unary({ x: b }, { kind: Unary.abs }) }, {});
  },
  crossEntropy: (s, f) => {
    const labels = f("labels", [3], [4, NONE, 19], "u32");
    return crossEntropy({ logits: s("z", 3, 20), labels, weight: f("weight", [3], [0.5, 1, 0.25]) }, {});
  },
  kl: (s, f) => {
    const temperature = f("T", [1], [2]);
    const targets = f("targets", [2, 3], [0.5, 0.25, 0.25, 1, 0, 0]);
    return kl({ targets, logits: s("z", 2, 3), temperature, weight: f("weight", [2], [0.5, 0.25]) }, {});
  },
  mse: (s, f) => {
    const b = f("b", [2, 3], [1, 2, 3, 4, 5, 6]);
    return mse({ a: s("a", 2, 3), b, weight: f("weight", [2], [0.5, 0.25]) }, {});
  },
  maps: (s, f) => {
    const [offsets, temperature] = [f("offsets", [5], [0, 5, 5, 22, 29], "u32"), f("T", [1], [1])];
    const a = s("a", 32, 3, 32);
    const numbers = Array.from({ length: sizeOf(a) }, (_, i) => (i % 13) / 4);
    const b = f("b", a.shape, numbers);
    const weight = f("weight", [32], Array(32).fill(0.5));
    const targets = softmax({ x: b, offsets }, {});
    return add(mse({ a, b, weight, offsets }, {}), kl({ targets, logits: a, temperature, weight, offsets }, {}));
  },
  noNorm: (s) => noNorm({ x: s("x", 21, 50), gamma: s("gamma", 50), beta: s("beta", 50) }, {}),
  normalize: (s) => normalize({ x: s("x", 5, 30) }, { epsilon: 1e-12 }),
  sum: (s) => sum({ x: s("x", 1000) }, {}),
  ...{ adamw: update(adamw), bertAdam: update(bertAdam), lamb: update(lamb), adadelta: update(adadelta) },
};

/** max |a − b| over the largest |b|, at least 1; Infinity where one is no number. */
function distance(a: Numbers, b: Numbers): number {
  let most = 1;
  let apart = 0;
  b.forEach((x, i) => {
    most = Math.max(most, Math.abs(x));
    apart = Math.max(apart, Number.isFinite(a[i] - x) ? Math.abs(a[i] - x) : Number.POSITIVE_INFINITY);
  });
  return apart / most;
}

interface Case {
  readonly program: Program;
  readonly data: ReadonlyMap<Persistent, Numbers>;
  readonly results: readonly Persistent[];
}

/** A program that computes a case and its gradients, with its numbers. */
export function selfTestCase(name: string): Case {
  const trace = new Trace();
  const data = new Map<Persistent, Numbers>();
  const parameters: Value[] = [];
  const random = new Random(1, name);
  const state: State = (key, ...shape) => {
    const value = trace.state(`selfTest/${key}`, shape);
    const normal = () => Math.fround(key.startsWith("square") ? Math.abs(random.normal()) : random.normal());
    data.set(value, Float64Array.from({ length: sizeOf(value) }, normal));
    parameters.push(value);
    return value;
  };
  const y = cases[name](state, (key, shape, numbers, dtype) => {
    const value = trace.input(`selfTest/${key}`, shape, dtype);
    data.set(value, dtype ? Uint32Array.from(numbers) : Float64Array.from(numbers));
    return value;
  });
  const results: Persistent[] = [...parameters];
  if (y.storage === "temporary") {
    const dy = state("dy", ...y.shape);
    const targets = parameters
      .filter((value) => value !== dy)
      .map((value) => [value, trace.state(`${value.name}/d`, value.shape)] as const);
    gradient(y, new Map(targets), dy);
    results.push(keep(y, "selfTest/y"), ...targets.map(([, target]) => target));
  }
  return { program: trace.finish(`self-test of ${name}`), data, results };
}

async function errorOf(executor: Executor, name: string): Promise<number> {
  const { program, data, results } = selfTestCase(name);
  const both = await Promise.all(
    [executor, new ReferenceExecutor()].map(async (on) => {
      const loaded = on.load(program);
      for (const [value, numbers] of data) on.write(value, numbers);
      on.run(loaded);
      return Promise.all(results.map((value) => on.read(value)));
    }),
  );
  for (const { name } of program.values) executor.release(name);
  return Math.max(...both[0].map((found, i) => distance(found, both[1][i])));
}

/** Each kernel's largest error, relative to the largest number of the result. */
export type KernelErrors = ReadonlyMap<string, number>;

export const selfTestNames: readonly string[] = Object.keys(cases);

/** Those that an executor can run: a GPU may have no half precision. */
export function selfTestNamesOf({ features }: Pick<Executor, "features">): readonly string[] {
  return selfTestNames.filter((name) => name !== "half" || features?.has("shader-f16") !== false);
}

export async function selfTest(executor: Executor, names = selfTestNamesOf(executor)): Promise<KernelErrors> {
  const errors = new Map<string, number>();
  for (const name of names) errors.set(name, await errorOf(executor, name));
  return errors;
}

/** An error that is rounding and no more. */
export const isRounding = (error: number): boolean => error <= BOUND;

/** Throws when a kernel is wrong; otherwise one phrase about how right they are. */
export async function requireRight(executor: Executor, adapter: string): Promise<string> {
  const errors = await selfTest(executor);
  const wrong = [...errors].filter(([, error]) => !isRounding(error));
  if (wrong.length > 0)
    throw new LimbeckError(
      "GPU_WRONG",
      `${adapter} computes wrongly: ${wrong.map(([name, error]) => `${name} is off by ${error.toPrecision(2)}`).join(", ")} (at most ${BOUND} is rounding)${USE_WASM}`,
    );
  return `${errors.size} kernels agree with the reference to ${Math.max(...errors.values()).toPrecision(1)}`;
}
