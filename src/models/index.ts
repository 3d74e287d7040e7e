// All families of models, and what is done with a model of any of them.

import { type CommonConfig, parseConfigOf, serializeConfigOf } from "../formats/config.ts";
import type { Scope } from "../program/scope.ts";
import { bert } from "./bert.ts";
import { bilstm } from "./bilstm.ts";
import { distilbert } from "./distilbert.ts";
import type { Family } from "./family.ts";
import type { BatchValues } from "./features.ts";
import { ibbert, mobilebert } from "./mobilebert.ts";

const all = [bert, distilbert, mobilebert, ibbert, bilstm] as const;

type ConfigOf<F> = F extends Family<infer C> ? C : never;

/** A configuration of any family; `model_type` tells which. */
export type ModelConfig = ConfigOf<(typeof all)[number]>;

export const families: ReadonlyMap<string, Family<ModelConfig>> = new Map(
  all.map((family) => [family.type, family as unknown as Family<ModelConfig>]),
);

export function familyOf({ model_type }: Pick<CommonConfig, "model_type">): Family<ModelConfig> {
  return families.get(model_type) as Family<ModelConfig>;
}

/** Traces a model on a batch. */
export function traceModel(
  scope: Scope,
  config: ModelConfig,
  batch: BatchValues,
): ReturnType<Family<ModelConfig>["trace"]> {
  return familyOf(config).trace(scope, config, batch);
}

/** `where` is the file, for messages. */
export function parseConfig(text: string, where: string): ModelConfig {
  return parseConfigOf<ModelConfig, Family<ModelConfig>>(text, where, families).config;
}

export function serializeConfig(config: ModelConfig): string {
  return serializeConfigOf(config, familyOf(config));
}
