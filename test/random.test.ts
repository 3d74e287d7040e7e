import { expect, test } from "vitest";
import { hash32, Random, threefry2x32 } from "../src/random.ts";

test("threefry2x32 gives the known answers of Random123", () => {
  expect(threefry2x32(0, 0, 0, 0)).toEqual([0x6b200159, 0x99ba4efe]);
  const ones = 0xffffffff;
  expect(threefry2x32(ones, ones, ones, ones)).toEqual([0x1cb996fc, 0xbb002be7]);
  expect(threefry2x32(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toEqual([0xc4923a9c, 0x483df7a0]);
});

test("hash32 is FNV-1a over UTF-8", () => {
  expect(hash32("")).toBe(0x811c9dc5);
  expect(hash32("a")).toBe(0xe40c292c);
  expect(hash32("foobar")).toBe(0xbf9cf968);
  expect(hash32("é")).not.toBe(hash32("e"));
});

const words = (random: Random) => Array.from({ length: 8 }, () => random.u32());

test("a stream is decided by its seed, all 53 bits of it, and its path", () => {
  expect(words(new Random(7, "a"))).toEqual(words(new Random(7, "a")));
  expect(words(new Random(7, "a"))).not.toEqual(words(new Random(7, "b")));
  expect(words(new Random(7, "a"))).not.toEqual(words(new Random(8, "a")));
  expect(words(new Random(7, "a"))).not.toEqual(words(new Random(7 + 2 ** 32, "a")));
});

test("seeds that are not integers are refused", () => {
  for (const seed of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => new Random(seed, "a")).toThrow(/seed/);
});

test("uniform and normal have the moments of their distributions", () => {
  const random = new Random(1, "moments");
  const count = 20000;
  let u = 0;
  let n = 0;
  let n2 = 0;
  for (let i = 0; i < count; i++) {
    const value = random.uniform();
    expect(value >= 0 && value < 1).toBe(true);
    u += value;
    const draw = random.normal();
    n += draw;
    n2 += draw * draw;
  }
  // Five standard errors of each estimate.
  expect(Math.abs(u / count - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / count));
  expect(Math.abs(n / count)).toBeLessThan(5 / Math.sqrt(count));
  expect(Math.abs(n2 / count - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
});

test("below reaches every value about equally often and stays under n", () => {
  const random = new Random(3, "below");
  const counts = [0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 7000; i++) counts[random.below(7)]++;
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  // Taking u32 modulo this n would make the lowest third as likely as the rest together.
  let low = 0;
  for (let i = 0; i < 3000; i++) if (random.below(3 * 2 ** 30) < 2 ** 30) low++;
  expect(Math.abs(low - 1000)).toBeLessThan(150);
  expect(() => random.below(0)).toThrow(/below/);
});

test("shuffle keeps every element, and these draws never change", () => {
  const random = new Random(42, "shuffle");
  const shuffled = random.shuffle(Uint32Array.from({ length: 10 }, (_, i) => i));
  expect([...shuffled].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect([...shuffled]).toEqual([7, 8, 4, 5, 1, 0, 6, 2, 3, 9]);
  expect(random.normal()).toBe(-2.360086992182963);
});
