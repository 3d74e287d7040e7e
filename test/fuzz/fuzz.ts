// Runs mutated inputs through the parsers. Which inputs is a function of the seed, so a finding can be made again from its number.

import { LimbeckError } from "../../src/errors.ts";
import { Random } from "../../src/random.ts";
import { corpus } from "./corpus.ts";
import { type Input, LONGEST, mutate, pick } from "./mutate.ts";
import { makeTargets, type Target } from "./targets.ts";

export interface Verdict {
  /** Of a typed error; or "accepted", or "untyped". */
  readonly code: string;
  /** What should not have happened. */
  readonly wrong?: string;
  /** What was read, so that its memory can be measured. */
  readonly kept?: unknown;
}

/** What a parser does with an input: it takes it, or refuses it with a typed error and a message that is no flood. */
export async function judge(target: Target, input: Input): Promise<Verdict> {
  try {
    return { code: "accepted", kept: await target(input) };
  } catch (error) {
    if (error instanceof LimbeckError) {
      const size = [...input.values()].reduce((sum, bytes) => sum + bytes.length, 0);
      const long = error.message.length > 4 * size + 10_000;
      return { code: error.code, wrong: long ? `a message of ${error.message.length} characters` : undefined };
    }
    return { code: "untyped", wrong: String((error as Error)?.stack ?? error).slice(0, 2000) };
  }
}

/** Words of a target's inputs: its keys, options and names. */
function wordsOf(inputs: readonly Input[]): string[] {
  const texts = inputs.flatMap((input) => [...input.values()].map((bytes) => new TextDecoder().decode(bytes)));
  return [...new Set(texts.flatMap((text) => text.match(/[\w.#[\]:-]{2,40}/g) ?? []))].slice(0, 500);
}

export interface Round {
  readonly target: string;
  /** Which input of this target. */
  readonly number: number;
  readonly input: Input;
  /** Runs it: once. */
  judge(): Promise<Verdict>;
}

/** `count` mutated inputs, the targets by turns. An input is mutated from the corpus, or again from one that led to a new code. */
export function* fuzz(seed: number, count: number, only?: string): Generator<Round> {
  const targets = Object.entries(makeTargets())
    .filter(([name]) => only === undefined || name === only)
    .map(([name, run]) => {
      const small = (input: Input) => [...input.values()].every(({ length }) => length <= LONGEST);
      const inputs = Object.values(corpus[name]).filter(small);
      return {
        name,
        run,
        inputs,
        words: wordsOf(inputs),
        seen: new Set<string>(),
        random: new Random(seed, `fuzz/${name}`),
      };
    });
  for (let i = 0; i < count; i++) {
    const { name, run, inputs, words, seen, random } = targets[i % targets.length];
    const input = mutate(random, pick(random, inputs), inputs, words);
    yield {
      ...{ target: name, number: Math.floor(i / targets.length), input },
      async judge() {
        const verdict = await judge(run, input);
        if (!seen.has(verdict.code) && verdict.wrong === undefined) inputs.push(input);
        seen.add(verdict.code);
        return verdict;
      },
    };
  }
}
