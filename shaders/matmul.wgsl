// C[M, N] (+)= op(a)·op(b) + bias[N], or op(a)·op(b)·scale[1]. a is [M, K] or, transposed, [K, M]; b is [K, N] or [N, K].
// Every element is one sequential sum over k, the same bits in every variant. The head of a variant (tiles.ts) says:
//   TILE_M, TILE_N, DEPTH  a workgroup makes TILE_M × TILE_N elements, from DEPTH terms at a time
//   QUADS_M, QUADS_N       a thread makes QUADS_M × QUADS_N (1 or 2) squares of 4 × 4 of them
//   SHARED                 terms go through shared memory; else each thread reads its own, DEPTH is 4, and it makes one square
//   Element, WIDTH         a and b are read as vec4 (of f32 or f16), 4, where their rows are multiples of 4, else as f32 or f16, 1
// A product of few tiles and many terms is cut into parts of `chunk` terms, one a layer of the grid, which matmulSum adds in order.

struct Parameters { accumulate: u32, present: u32, M: u32, N: u32, K: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>; // or, of a product in parts, scratch
@group(0) @binding(2) var<storage, read> a: array<Element>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>; // scratch of matmulSum: [parts, M, N]
@group(0) @binding(3) var<storage, read> b: array<Element>;
@group(0) @binding(4) var<storage, read> bias: array<f32>; // or, where the head says SCALED, the scale of the loss: s, 1/s

// Threads of a workgroup: in a row, in a column, and all.
const ACROSS = TILE_N / (4u * QUADS_N);
const DOWN = TILE_M / (4u * QUADS_M);
const THREADS = ACROSS * DOWN;

// Terms of a, then terms of b: [DEPTH, TILE_M / 4] and [DEPTH, TILE_N / 4].
var<workgroup> terms: array<vec4<f32>, DEPTH * (TILE_M + TILE_N) / 4u>;
const OF_B = DEPTH * TILE_M / 4u;

/** Whether neighbours in memory are neighbouring terms of the sums. */
fn alongDepth(ofB: bool) -> bool {
  return select(!TRANSPOSE_A, TRANSPOSE_B, ofB);
}

/** One Element of a or b as it lies in memory: of one number four equal ones; 0 outside. */
fn element(ofB: bool, row: u32, column: u32) -> vec4<f32> {
  let other = select(p.M, p.N, ofB);
  let width = select(other, p.K, alongDepth(ofB));
  let inside = (row < select(p.K, other, alongDepth(ofB))) & (column < width);
  let i = select(0u, (row * width + column) / WIDTH, inside);
  var found: vec4<f32>;
  if (ofB) { found = vec4<f32>(vec4(b[i])); } else { found = vec4<f32>(vec4(a[i])); }
  return select(vec4<f32>(0.0), found, inside);
}

/** Four neighbours in a row. */
fn quad(ofB: bool, row: u32, column: u32) -> vec4<f32> {
  var found: vec4<f32>;
  for (var j = 0u; j < 4u; j += WIDTH) {
    found = select(found, element(ofB, row, column + j), vec4<u32>(0u, 1u, 2u, 3u) / WIDTH == vec4<u32>(j / WIDTH));
  }
  return found;
}

/** Terms k to k + 3 of rows x to x + 3 of op(a), or columns of op(b): a vector a term. */
fn block(ofB: bool, k: u32, x: u32) -> mat4x4<f32> {
  let row = select(k, x, alongDepth(ofB));
  let column = select(x, k, alongDepth(ofB));
  let quads = mat4x4<f32>(
    quad(ofB, row, column), quad(ofB, row + 1u, column), quad(ofB, row + 2u, column), quad(ofB, row + 3u, column));
  if (alongDepth(ofB)) { return transpose(quads); }
  return quads;
}

/** Block `turn` of a tile into shared memory; neighbouring threads read neighbouring quads. */
fn bring(ofB: bool, turn: u32, k: u32, x: u32) {
  let tile = select(TILE_M, TILE_N, ofB) / 4u;
  let across = select(tile, DEPTH / 4u, alongDepth(ofB));
  let term = 4u * select(turn / across, turn % across, alongDepth(ofB));
  let place = select(turn % across, turn / across, alongDepth(ofB));
  let found = block(ofB, k + term, x + 4u * place);
  let i = select(0u, OF_B, ofB) + term * tile + place;
  terms[i] = found[0];
  terms[i + tile] = found[1];
  terms[i + 2u * tile] = found[2];
  terms[i + 3u * tile] = found[3];
}

/** One term more. */
fn more(sums: mat4x4<f32>, left: vec4<f32>, right: vec4<f32>) -> mat4x4<f32> {
  return sums + mat4x4<f32>(left.x * right, left.y * right, left.z * right, left.w * right);
}

/** Four terms more, straight from a and b. */
fn moreOf(sums: mat4x4<f32>, k: u32, m: u32, n: u32) -> mat4x4<f32> {
  let left = block(false, k, m);
  let right = block(true, k, n);
  return more(more(more(more(sums, left[0], right[0]), left[1], right[1]), left[2], right[2]), left[3], right[3]);
}

/** Element (m, n) from its sum; of a product in parts, of part `layer`. */
fn finish(layer: u32, m: u32, n: u32, sum: f32) {
  if (m >= p.M || n >= p.N) { return; }
  var value = sum;
  if (has(p.present, 4u)) { if (SCALED) { value *= bias[1]; } else { value += bias[n]; } }
  if (p.accumulate != 0u) { value += out[m * p.N + n]; }
  out[(layer * p.M + m) * p.N + n] = value;
}

fn finishRow(layer: u32, m: u32, n: u32, sums: vec4<f32>) {
  for (var j = 0u; j < 4u; j++) { finish(layer, m, n + j, sums[j]); }
}

fn finishSquare(layer: u32, m: u32, n: u32, sums: mat4x4<f32>) {
  finishRow(layer, m, n, sums[0]); finishRow(layer, m + 1u, n, sums[1]);
  finishRow(layer, m + 2u, n, sums[2]); finishRow(layer, m + 3u, n, sums[3]);
}

@compute @workgroup_size(THREADS)
fn matmul(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) at: u32) {
  let row = at / ACROSS;
  let column = at % ACROSS;
  // First rows and columns of this thread's squares.
  let m = vec2<u32>(group.y * TILE_M) + 4u * vec2<u32>(row, row + DOWN);
  let n = vec2<u32>(group.x * TILE_N) + 4u * vec2<u32>(column, column + ACROSS);
  var s00: mat4x4<f32>; var s01: mat4x4<f32>;
  var s10: mat4x4<f32>; var s11: mat4x4<f32>;
  for (var k = group.z * p.chunk; k < min(p.K, (group.z + 1u) * p.chunk); k += DEPTH) {
    if (SHARED) {
      for (var turn = at; turn < DEPTH * (TILE_M + TILE_N) / 16u; turn += THREADS) {
        if (turn < OF_B / 4u) { bring(false, turn, k, group.y * TILE_M); }
        else { bring(true, turn - OF_B / 4u, k, group.x * TILE_N); }
      }
      workgroupBarrier();
      for (var d = 0u; d < DEPTH; d++) {
        let left = terms[d * (TILE_M / 4u) + row];
        let below = terms[d * (TILE_M / 4u) + row + (QUADS_M - 1u) * DOWN];
        let right = terms[OF_B + d * (TILE_N / 4u) + column];
        let beside = terms[OF_B + d * (TILE_N / 4u) + column + (QUADS_N - 1u) * ACROSS];
        s00 = more(s00, left, right);
        if (QUADS_N == 2u) { s01 = more(s01, left, beside); }
        if (QUADS_M == 2u) { s10 = more(s10, below, right); }
        if (QUADS_M * QUADS_N == 4u) { s11 = more(s11, below, beside); }
      }
      workgroupBarrier();
    } else {
      s00 = moreOf(s00, k, m.x, n.x);
    }
  }
  finishSquare(group.z, m.x, n.x, s00);
  if (QUADS_N == 2u) { finishSquare(group.z, m.x, n.y, s01); }
  if (QUADS_M == 2u) { finishSquare(group.z, m.y, n.x, s10); }
  if (QUADS_M * QUADS_N == 4u) { finishSquare(group.z, m.y, n.y, s11); }
}

@compute @workgroup_size(GROUP)
fn matmulSum(here: Here) {
  let i = elementOf(here);
  if (i >= p.M * p.N) { return; }
  var sum = parts[i];
  for (var part = 1u; part * p.chunk < p.K; part++) { sum += parts[part * p.M * p.N + i]; }
  finish(0u, i / p.N, i % p.N, sum);
}
