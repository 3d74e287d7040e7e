// limbeck as a contender. Forward and gradients begin at token ids: they also look up a vocabulary and compute its gradient, which the
// others are spared. The whole step adds AdamW on all parameters.

import { findAdapter } from "../../src/executors/adapter.ts";
import { WebgpuExecutor } from "../../src/executors/webgpu.ts";
import { matmul } from "../../src/ops/index.ts";
import { adamw } from "../../src/optim/adamw.ts";
import { Trace } from "../../src/program/program.ts";
import type { Value } from "../../src/program/value.ts";
import { hard } from "../../src/recipes/hard.ts";
import { DROPOUT, forwardProgram, LOSS, logitsOf, stepPrograms, weightOf } from "../../src/train/programs.ts";
import { placeWeights, shapeOf, Trainer, writeBatch } from "../../src/train/trainer.ts";
import { batchOf, type Contender, type Task } from "./task.ts";

export async function contender(task: Task, gpu: GPU): Promise<Contender> {
  const { config, weights, sizes } = task;
  const executor = await WebgpuExecutor.create(await findAdapter(gpu));
  const student = { owner: "student", config };
  placeWeights(executor, student.owner, weights);
  const batch = batchOf(task);
  const structure = { student, teachers: [], stage: hard.stages.task, regression: false, optimizer: adamw };
  const forward = executor.load(forwardProgram(student, shapeOf(batch)));
  const gradients = executor.load(stepPrograms(structure, shapeOf(batch)).gradient);
  const trainer = new Trainer(executor, structure, { seed: 1 });

  const trace = new Trace();
  const square = [sizes.square, sizes.square];
  const [a, b, product] = [trace.input("a", square), trace.input("b", square), trace.input("product", square)];
  let last: Value = a;
  for (let i = 0; i < sizes.products; i++) last = matmul({ a: last, b }, { transposeA: false, transposeB: false });
  trace.retarget(last, product, false);
  const products = executor.load(trace.finish("products"));
  executor.write(a, task.a);
  executor.write(b, task.b);
  executor.write(weightOf("hard"), Float64Array.of(1));
  executor.write(DROPOUT, Uint32Array.of(1, 1));

  return {
    name: "limbeck",
    units: {
      async products() {
        executor.run(products);
        return executor.read(product);
      },
      async forward() {
        writeBatch(executor, batch, [forward]);
        executor.run(forward);
        return executor.read(logitsOf(student.owner, batch.sequences, 2));
      },
      async gradients() {
        writeBatch(executor, batch, [gradients]);
        executor.run(gradients);
        const loss = executor.read(LOSS);
        await executor.finished();
        return loss;
      },
      async step() {
        // Nothing is learned, so that the next round's answers are those of this one.
        const { loss } = await trainer.step([batch], 0, { temperature: 1, alpha: 0, beta: 0 });
        return [loss];
      },
    },
    close: () => executor.dispose(),
  };
}
