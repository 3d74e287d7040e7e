// The rows of a data set as those who learn from them see them. Those of a file are read when they are asked for (table.ts), so a pass over them
// costs time, and no memory.

import type { Tagged } from "./augmentation/words.ts";

export interface Example {
  text: string;
  pair?: string;
  /** A class id, or a score for regression; absent on unlabelled rows. */
  label?: number;
  /** The part of speech of each word of text and pair, where a column of the file has them. */
  tags?: Tagged;
  /** A teacher's logits, where columns of the file have its soft labels. [C] */
  soft?: readonly number[];
}

export class Examples implements Iterable<Example> {
  /** `at` makes the same of a number every time. */
  constructor(
    readonly length: number,
    readonly at: (index: number) => Example,
  ) {}

  static of(all: readonly Example[]): Examples {
    return new Examples(all.length, (i) => all[i]);
  }

  *[Symbol.iterator](): Generator<Example> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  map<T>(f: (example: Example, index: number) => T): T[] {
    return Array.from({ length: this.length }, (_, i) => f(this.at(i), i));
  }

  slice(from: number, to: number): Examples {
    return new Examples(Math.min(to, this.length) - from, (i) => this.at(from + i));
  }

  concat(others: Examples): Examples {
    return new Examples(this.length + others.length, (i) =>
      i < this.length ? this.at(i) : others.at(i - this.length),
    );
  }
}

/** The different texts of examples (pairs: both of them), as their numbers in a hash table of open addresses: no text is kept. */
export class DistinctTexts {
  #size = 0;
  /** A number and 1; 0 is free. */
  #slots = new Uint32Array(1024);
  /** Eight bits of the hash, so that a text is rarely read in vain. */
  #tags = new Uint8Array(1024);
  /** So that nobody writes a file whose texts all meet. */
  readonly #salt = crypto.getRandomValues(new Uint32Array(1))[0];
  readonly #examples: Examples;

  constructor(examples: Examples) {
    this.#examples = examples;
    for (let i = 0; i < examples.length; i++) {
      if (4 * this.#size >= 3 * this.#slots.length) this.#grow(i);
      this.#add(i);
    }
  }

  get size(): number {
    return this.#size;
  }

  has(example: Example): boolean {
    const key = keyOf(example);
    return this.#slots[this.#slotOf(key, hash(key, this.#salt))] > 0;
  }

  #add(index: number): void {
    const key = keyOf(this.#examples.at(index));
    const h = hash(key, this.#salt);
    const slot = this.#slotOf(key, h);
    if (this.#slots[slot] > 0) return;
    this.#slots[slot] = index + 1;
    this.#tags[slot] = h >>> 24;
    this.#size++;
  }

  #grow(until: number): void {
    const size = 2 * this.#slots.length;
    this.#slots = new Uint32Array(size);
    this.#tags = new Uint8Array(size);
    this.#size = 0;
    for (let i = 0; i < until; i++) this.#add(i);
  }

  /** Where this text is, or would be. */
  #slotOf(key: string, h: number): number {
    const mask = this.#slots.length - 1;
    let slot = h & mask;
    for (; this.#slots[slot] > 0; slot = (slot + 1) & mask)
      if (this.#tags[slot] === h >>> 24 && keyOf(this.#examples.at(this.#slots[slot] - 1)) === key) break;
    return slot;
  }
}

const keyOf = ({ text, pair }: Example) => (pair === undefined ? text : `${text.length}:${text}${pair}`);

/** Multiply and fold, a code unit at a time; the multiplier is 2³² over the golden ratio. */
function hash(key: string, salt: number): number {
  let h = salt;
  for (let i = 0; i < key.length; i++) {
    h = Math.imul(h ^ key.charCodeAt(i), 0x9e3779b1);
    h ^= h >>> 15;
  }
  return h >>> 0;
}
