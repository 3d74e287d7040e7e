// Models against Hugging Face transformers in float64 (test/fixtures/bert.py): every activation, every parameter gradient.

import { describe, expect, test } from "vitest";
import { type CommonConfig, labelMaps } from "../../src/formats/config.ts";
import { batchValues, type Features, shown } from "../../src/models/features.ts";
import { familyOf, type ModelConfig, parseConfig, traceModel } from "../../src/models/index.ts";
import { gradient, keep } from "../../src/ops/index.ts";
import { Trace } from "../../src/program/program.ts";
import { Scope } from "../../src/program/scope.ts";
import type { Value } from "../../src/program/value.ts";
import { hard } from "../../src/recipes/hard.ts";
import { traceTerms } from "../../src/recipes/terms.ts";
import { parametersOf } from "../../src/train/programs.ts";
import { shapeOf, writeBatch } from "../../src/train/trainer.ts";
import { devices } from "../executors/each.ts";
import { fixtureBatch, fixtureBytes, fixtureJson, fixtureTensors } from "../fixtures/read.ts";

/** What bert-base-uncased gives to models of any size. */
export const COMMON: CommonConfig = {
  ...{ model_type: "", vocab_size: 30522, max_position_embeddings: 512, initializer_range: 0.02, pad_token_id: 0 },
  ...{ ...labelMaps(["0", "1"]), problem_type: null },
};

/** Without what stands outside of the body's prefix, the task's head. */
export function bodyParameters(config: ModelConfig): number {
  const { prefix } = familyOf(config);
  const body = [...parametersOf(config)].filter(([path]) => path.startsWith(prefix));
  return body.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b), 0);
}

/** The fixtures of one family; each with so many empty sequences at the end, which must change nothing. */
export function equalsTransformers(
  family: string,
  fixtures: readonly (readonly [name: string, empty: number])[],
): void {
  for (const device of devices)
    describe.skipIf(device.missing)(`${family} on ${device.name}`, () => {
      for (const [name, empty] of fixtures)
        test(`${name} equals PyTorch: activations, loss and all gradients`, async () => {
          const facts = fixtureJson(`${name}.json`);
          const expected = fixtureTensors(`${name}.safetensors`);
          const weights = fixtureTensors(`${name}/model.safetensors`);
          const config = parseConfig(new TextDecoder().decode(fixtureBytes(`${name}/config.json`)), name);
          const regression = facts.task === "regression";
          const batch = fixtureBatch(facts.sequences, facts.labels, regression, empty);

          const trace = new Trace();
          const scope = new Scope(trace, "m", false);
          const values = batchValues(trace, shapeOf(batch));
          const features = traceModel(scope, config, values);
          const kept: Record<string, Value> = {};
          for (const [key, feature] of Object.entries(features) as [keyof Features, Value | readonly Value[]][]) {
            if (typeof feature === "number") continue;
            if (!Array.isArray(feature)) kept[key] = keep(feature as Value, `see/${key}`);
            else for (const [i, value] of feature.entries()) kept[`${key}.${i}`] = keep(value, `see/${key}.${i}`);
          }
          const unused = trace.input("recipe/temperature", [1]);
          const { hard: loss } = traceTerms(hard.stages.task, {
            ...{ teachers: [], student: shown(features, name), batch: values, regression, temperature: unused },
            project: (_, x) => x,
          });
          const seen = keep(loss, "loss");
          const trained = [...scope.parameters].filter(([, p]) => !scope.frozen.has(p));
          const gradients = trained.map(([path, p]) => [path, p, trace.state(`g/${path}`, p.shape)] as const);
          const reached = gradient(loss, new Map(gradients.map(([, parameter, target]) => [parameter, target])));

          const executor = await device.make();
          const loaded = executor.load(trace.finish(name));
          for (const [path, value] of scope.parameters) executor.write(value, weights.get(path) as Float64Array);
          writeBatch(executor, batch, [loaded]);
          executor.run(loaded);

          const tolerance = device.name === "reference" ? 1e-9 : 1e-4;
          const close = (found: ArrayLike<number>, truth: ArrayLike<number>, where: string, floor: number) => {
            const largest = Math.max(floor, ...Array.from(truth, Math.abs));
            let apart = 0;
            for (let i = 0; i < truth.length; i++) apart = Math.max(apart, Math.abs(found[i] - truth[i]));
            expect(apart / largest, where).toBeLessThanOrEqual(tolerance);
          };
          expect(Math.abs((await executor.read(seen))[0] - facts.loss) / facts.loss).toBeLessThanOrEqual(tolerance);
          const read = async (key: string) => executor.read(kept[key]);
          const rows = async (key: string, truth: Float64Array) => close(await read(key), truth, key, 0);
          const plural: Record<string, string> = { hidden: "hidden", query: "queries", key: "keys", value: "values" };
          const [B, L] = [facts.sequences.length, batch.longest];
          for (const [key, truth] of expected) {
            const [kind, index] = key.split(".");
            if (kind in plural) await rows(`${plural[kind]}.${index}`, truth);
            else if (["embedding", "pooled", "logits"].includes(kind)) await rows(kind, truth);
            else if (kind === "scores") {
              // Per sequence [H, n, n] in the fixture, [N, H, L] here.
              const found = await read(`scores.${index}`);
              const H = facts.heads;
              const ours = facts.offsets.slice(0, B).flatMap((start: number, b: number) => {
                const n = facts.offsets[b + 1] - start;
                return Array.from({ length: H * n * n }, (_, at) => {
                  const [h, i, j] = [Math.floor(at / (n * n)), Math.floor(at / n) % n, at % n];
                  return found[((start + i) * H + h) * L + j];
                });
              });
              expect(ours.length).toBe(truth.length);
              close(ours, truth, key, 0);
            } else expect(["gradient", "loss"], key).toContain(kind);
          }
          const had = gradients.filter(([, parameter]) => reached.has(parameter));
          for (const [path, , target] of had)
            close(
              await executor.read(target),
              expected.get(`gradient.${path}`) as Float64Array,
              `gradient of ${path}`,
              1e-3 * facts.largestGradient,
            );
          const known = [...expected.keys()].filter((key) => key.startsWith("gradient."));
          // What PyTorch left without a gradient is not reached, and everything else is.
          expect(known.sort()).toEqual(had.map(([path]) => `gradient.${path}`).sort());
          executor.dispose();
        });
    });
}
