// What a run is: everything that decides its bytes, by the names under which a difference is told. A chain's links and the checkpoints of a run
// are known again by it. Where files lie and what they are called is no part of it.

import { isObject } from "../formats/json.ts";
import { sha256 } from "../sha256.ts";
import { VERSION } from "../version.ts";
import { hashOfWeights, type Model } from "./model.ts";
import type { CommonOptions, Setup } from "./train.ts";

/** Plain JSON. */
export type Identity = Readonly<Record<string, unknown>>;

/** Of all but the teachers. */
export async function identityOf(setup: Setup, { data: reading, numerics, bestBy }: CommonOptions): Promise<Identity> {
  const { student, textTeacher, substitutes, recipe, stages, data, argmaxTargets } = setup;
  const { teacher, student: name, model, textTeacher: text, augmentationModel, ...resolved } = setup.resolved;
  const chosen = Object.entries(resolved).filter(([key]) => key !== "recipe" && !(key in (recipe.hyper ?? {})));
  return plain({
    ...{ limbeck: VERSION, command: setup.command, student: await modelIdentity(student) },
    textTeacher: textTeacher && (await modelIdentity(textTeacher)),
    augmentationModel: substitutes && (await modelIdentity(substitutes.model)),
    ...{ recipe, stages: Object.fromEntries(stages.map((run) => [run.name, run.options])) },
    data: Object.fromEntries(
      (["train", "eval", "text", "evalText"] as const).map((which) => [which, data[which]?.fingerprint]),
    ),
    options: { ...Object.fromEntries(chosen), ...reading, numerics, argmaxTargets, bestBy },
  });
}

export async function modelIdentity({ config, weights, tokenizer }: Model): Promise<Identity> {
  const files = await sha256(JSON.stringify([...tokenizer.files]));
  return { config, tokenizer: files, weights: await hashOfWeights(weights) };
}

/** As it comes back from a file. */
const plain = (value: unknown): Identity => JSON.parse(JSON.stringify(value));

/** One line for each thing in which two runs differ. */
export function differences(before: Identity, now: Identity): string[] {
  const [a, b] = [new Map(leaves(before)), new Map(leaves(now))];
  const names = [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name));
  return names.map((name) => `${name}: ${shown(a.get(name))} → ${shown(b.get(name))}`);
}

function* leaves(value: unknown, at = ""): Generator<[name: string, json: string]> {
  const nested = isObject(value) || (Array.isArray(value) && value.some(isObject));
  if (!nested) yield [at, JSON.stringify(value)];
  else for (const [key, own] of Object.entries(value)) yield* leaves(own, at === "" ? key : `${at}.${key}`);
}

/** Of a hash the beginning tells enough. */
function shown(json: string | undefined): string {
  if (json === undefined) return "none";
  if (/^"[0-9a-f]{64}"$/.test(json)) return `${json.slice(1, 13)}…`;
  return json.length > 80 ? `${json.slice(0, 79)}…` : json;
}
