import { expect, test } from "vitest";
import { sha256 } from "../../src/sha256.ts";

// FIPS 180-4 examples (NIST, SHA256.pdf).
test("sha256 of the standard's examples, as text, bytes, and a view of shared memory", async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(await sha256("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect(await sha256("abc")).toBe(abc);
  const shared = new Uint8Array(new SharedArrayBuffer(8), 2, 3);
  shared.set([0x61, 0x62, 0x63]);
  expect(await sha256(shared)).toBe(abc);
});
