// Addresses in one WebAssembly.Memory: first fit, neighbours merged when freed, the memory grown when nothing fits.

import { outOfMemory } from "./executor.ts";

const PAGE = 65536;
const ALIGNMENT = 64;
/** What 32-bit addresses reach, less the last page, so that reading a little past the end stays inside. */
const LIMIT = 2 ** 32 - PAGE;

export interface Block {
  readonly at: number;
  readonly bytes: number;
}

export class Allocator {
  /** Sorted by address, never adjacent. */
  #free: Block[] = [];
  #top: number;

  constructor(
    readonly memory: WebAssembly.Memory,
    base: number,
  ) {
    this.#top = base;
  }

  allocate(wanted: number): Block {
    const bytes = Math.max(ALIGNMENT, Math.ceil(wanted / ALIGNMENT) * ALIGNMENT);
    const index = this.#free.findIndex((block) => block.bytes >= bytes);
    if (index >= 0) {
      const { at, bytes: size } = this.#free[index];
      this.#free.splice(index, 1, ...(size > bytes ? [{ at: at + bytes, bytes: size - bytes }] : []));
      return { at, bytes };
    }
    const last = this.#free.at(-1);
    const at = last && last.at + last.bytes === this.#top ? last.at : this.#top;
    this.#reserve(at, bytes);
    if (at !== this.#top) this.#free.pop();
    this.#top = at + bytes;
    return { at, bytes };
  }

  /** Another place, which may overlap this one, so contents are lost; where there is none, this one stays. */
  replace(block: Block, wanted: number): Block {
    const [free, top] = [this.#free, this.#top];
    this.free(block);
    try {
      return this.allocate(wanted);
    } catch (error) {
      [this.#free, this.#top] = [free, top];
      throw error;
    }
  }

  free(block: Block): void {
    const i = this.#free.findIndex((other) => other.at > block.at);
    const before = this.#free.slice(0, i < 0 ? undefined : i);
    const after = i < 0 ? [] : this.#free.slice(i);
    let { at, bytes } = block;
    const left = before.at(-1);
    if (left && left.at + left.bytes === at) {
      before.pop();
      at = left.at;
      bytes += left.bytes;
    }
    if (after[0]?.at === at + bytes) bytes += after.shift()!.bytes;
    this.#free = [...before, { at, bytes }, ...after];
  }

  #reserve(at: number, bytes: number): void {
    const missing = at + bytes + PAGE - this.memory.buffer.byteLength;
    if (missing <= 0) return;
    const fail = (cause?: unknown): never => {
      const most = cause ? "this host gives no more" : `WebAssembly reaches ${LIMIT}`;
      throw outOfMemory(`${bytes} more bytes are needed, ${at} are in use, and ${most}`, cause);
    };
    if (at + bytes > LIMIT) fail();
    try {
      this.memory.grow(Math.ceil(missing / PAGE));
    } catch (cause) {
      fail(cause);
    }
  }
}
