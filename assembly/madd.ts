// The multiply-add that the build decides: strict numerics round twice, the same on every engine and processor; fast numerics
// (relaxed SIMD) leave it to the processor, which as a rule fuses both and rounds once.

/** c + a·b of four f32 lanes. */
export function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(c, f32x4.mul(a, b));
}
