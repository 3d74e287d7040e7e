import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Allocator, type Block } from "../../src/executors/allocator.ts";

const memory = () => new WebAssembly.Memory({ initial: 1, maximum: 4096 });

describe("allocator", () => {
  test("living blocks never overlap, are aligned and lie inside the memory", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200_000), fc.nat(20)), { maxLength: 60 }), (steps) => {
        const allocator = new Allocator(memory(), 1024);
        const living: Block[] = [];
        for (const [bytes, choice] of steps) {
          if (choice > 12 && living.length > 0) allocator.free(living.splice(choice % living.length, 1)[0]);
          else living.push(allocator.allocate(bytes));
          const sorted = [...living].sort((a, b) => a.at - b.at);
          sorted.forEach(({ at, bytes: size }, i) => {
            expect(at % 64).toBe(0);
            expect(at).toBeGreaterThanOrEqual(1024);
            expect(at + size).toBeLessThanOrEqual(sorted[i + 1]?.at ?? allocator.memory.buffer.byteLength);
          });
        }
      }),
    );
  });

  test("freed neighbours serve one larger block, and memory does not grow for it", () => {
    const allocator = new Allocator(memory(), 0);
    const blocks = [1, 2, 3].map(() => allocator.allocate(100_000));
    const last = allocator.allocate(64);
    const size = allocator.memory.buffer.byteLength;
    for (const i of [0, 2, 1]) allocator.free(blocks[i]);
    expect(allocator.allocate(300_000).at).toBe(0);
    expect(allocator.memory.buffer.byteLength).toBe(size);
    expect(last.at).toBeGreaterThan(300_000);
  });

  test("what does not fit is an error with the bytes", () => {
    const allocator = new Allocator(memory(), 0);
    expect(() => allocator.allocate(2 ** 32)).toThrow(/4294967296 more bytes are needed/);
    expect(() => allocator.allocate(4096 * 65536)).toThrow(/OUT_OF_MEMORY|more bytes are needed/);
  });
});
