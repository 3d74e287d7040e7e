// Random numbers that are a function of (seed, path, index): the same on every engine.
// Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; Random123).
// Strings become key words by FNV-1a (Fowler, Noll, Vo) over their UTF-8 bytes.

import { LimbeckError } from "./errors.ts";
import { cos, log } from "./math.ts";

const PARITY = 0x1bd11bda;
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const TWO_PI = 6.283185307179586;

/** One block of Threefry-2x32-20: key and counter are u32 words, and so are the two words that come back. */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const keys = [key0 | 0, key1 | 0, PARITY ^ key0 ^ key1];
  let x = (counter0 + key0) | 0;
  let y = (counter1 + key1) | 0;
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[round & 7];
    x = (x + y) | 0;
    y = ((y << rotation) | (y >>> (32 - rotation))) ^ x;
    if ((round & 3) === 3) {
      const injection = (round + 1) >> 2;
      x = (x + keys[injection % 3]) | 0;
      y = (y + keys[(injection + 1) % 3] + injection) | 0;
    }
  }
  return [x >>> 0, y >>> 0];
}

/** FNV-1a of the UTF-8 bytes of `text`, a u32. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A stream of numbers for one purpose: `path` names it ("init/encoder.layer.0.query"), `seed` is the run's. */
export class Random {
  readonly #key0: number;
  readonly #key1: number;
  readonly #seedHigh: number;
  #block = 0;
  #spare: number | undefined;

  constructor(seed: number, path: string) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new LimbeckError("BAD_SEED", `a seed is an integer from 0 to 2^53 - 1, got ${seed}`, { where: path });
    }
    this.#key0 = seed >>> 0;
    this.#key1 = hash32(path);
    this.#seedHigh = Math.floor(seed / 0x100000000);
  }

  u32(): number {
    if (this.#spare !== undefined) {
      const word = this.#spare;
      this.#spare = undefined;
      return word;
    }
    const [word, next] = threefry2x32(this.#key0, this.#key1, this.#block++, this.#seedHigh);
    this.#spare = next;
    return word;
  }

  /** In [0, 1), a multiple of 2^-53. */
  uniform(): number {
    const high = this.u32() >>> 5;
    const low = this.u32() >>> 6;
    return (high * 0x4000000 + low) / 0x20000000000000;
  }

  /** An integer in [0, n), every one equally likely: words past the last whole multiple of n are drawn again. */
  below(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 0x100000000) {
      throw new LimbeckError("BAD_RANGE", `below(n) needs an integer n from 1 to 2^32, got ${n}`);
    }
    const limit = 0x100000000 - (0x100000000 % n);
    let word = this.u32();
    while (word >= limit) word = this.u32();
    return word % n;
  }

  /** Mean 0, variance 1 (Box and Muller 1958). Always takes four words, so that a stream can be counted. */
  normal(): number {
    const radius = Math.sqrt(-2 * log(1 - this.uniform()));
    return radius * cos(TWO_PI * this.uniform());
  }

  /** In place (Fisher and Yates; Durstenfeld 1964); returns the same array. */
  shuffle<A extends { length: number; [index: number]: unknown }>(array: A): A {
    for (let i = array.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const kept = array[i];
      array[i] = array[j];
      array[j] = kept;
    }
    return array;
  }
}
