// What this host's WebAssembly can do, asked with the smallest modules that use it.

/** A module with one function () → () of these instructions. */
function moduleOf(...instructions: number[]): Uint8Array<ArrayBuffer> {
  const body = [0, ...instructions, 0x0b];
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00], // types: () → ()
    ...[0x03, 0x02, 0x01, 0x00], // functions: one of type 0
    ...[0x0a, body.length + 2, 0x01, body.length, ...body], // code
  );
}

const DROP = 0x1a;
/** v128.const 0 */
const ZERO = [0xfd, 0x0c, ...Array<number>(16).fill(0)];
const RELAXED_MADD = [0xfd, 0x85, 0x02];

export interface WasmFeatures {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Threads need it. */
  readonly sharedMemory: boolean;
}

export function wasmFeatures(): WasmFeatures {
  return {
    simd: WebAssembly.validate(moduleOf(...ZERO, DROP)),
    relaxedSimd: WebAssembly.validate(moduleOf(...ZERO, ...ZERO, ...ZERO, ...RELAXED_MADD, DROP)),
    sharedMemory: typeof SharedArrayBuffer !== "undefined",
  };
}
