// threefry2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the bits of src/random.ts.

fn mixOnce(x: vec2<u32>, bits: u32) -> vec2<u32> {
  let a = x.x + x.y;
  return vec2<u32>(a, ((x.y << bits) | (x.y >> (32u - bits))) ^ a);
}

fn mixOdd(x: vec2<u32>) -> vec2<u32> {
  return mixOnce(mixOnce(mixOnce(mixOnce(x, 13u), 15u), 26u), 6u);
}

fn mixEven(x: vec2<u32>) -> vec2<u32> {
  return mixOnce(mixOnce(mixOnce(mixOnce(x, 17u), 29u), 16u), 24u);
}

fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
  let third = key.x ^ key.y ^ 0x1bd11bdau;
  var x = mixOdd(counter + key) + vec2<u32>(key.y, third + 1u);
  x = mixEven(x) + vec2<u32>(third, key.x + 2u);
  x = mixOdd(x) + vec2<u32>(key.x, key.y + 3u);
  x = mixEven(x) + vec2<u32>(key.y, third + 4u);
  return mixOdd(x) + vec2<u32>(third, key.x + 5u);
}
