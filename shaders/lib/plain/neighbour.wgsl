// Where threads cannot take each other's numbers, a subgroup is one thread, and nobody asks.

fn neighbour(value: f32, reach: u32) -> f32 {
  return value;
}
