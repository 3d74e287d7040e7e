/** The `value` of the thread whose number in the subgroup differs by the bit `reach`. */
fn neighbour(value: f32, reach: u32) -> f32 {
  return subgroupShuffleXor(value, reach);
}
