// C[M, N] (+)= op(a)·op(b) + bias[N]. a is [M, K] or, transposed, [K, M]; b is [K, N] or [N, K].
// Every element is one sequential sum over k that starts from the bias (and the old C). A workgroup of 8 × 8 threads makes a square of
// TILE × TILE elements, each thread 4 × 4 of them, from DEPTH terms of a and b at a time in shared memory: the shape that llama.cpp's
// tuning over many GPUs found to lose least on the worst of them (ggml-org/llama.cpp, pull request 22241).

struct Parameters { accumulate: u32, present: u32, M: u32, N: u32, K: u32, transposeA: u32, transposeB: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;

// [DEPTH, TILE] both.
var<workgroup> tileA: array<f32, DEPTH * TILE>;
var<workgroup> tileB: array<f32, DEPTH * TILE>;

const THREADS = 64u;

/** The place in a tile of the element that thread `at` brings in its turn: neighbouring threads read neighbouring floats. */
fn place(element: u32, alongDepth: bool) -> vec2<u32> {
  if (alongDepth) { return vec2<u32>(element % DEPTH, element / DEPTH); }
  return vec2<u32>(element / TILE, element % TILE);
}

fn bringA(m0: u32, k0: u32, at: u32) {
  for (var turn = at; turn < DEPTH * TILE; turn += THREADS) {
    let to = place(turn, p.transposeA == 0u);
    let k = k0 + to.x;
    let m = m0 + to.y;
    var value = 0.0;
    if (k < p.K && m < p.M) { value = a[select(m * p.K + k, k * p.M + m, p.transposeA != 0u)]; }
    tileA[to.x * TILE + to.y] = value;
  }
}

fn bringB(n0: u32, k0: u32, at: u32) {
  for (var turn = at; turn < DEPTH * TILE; turn += THREADS) {
    let to = place(turn, p.transposeB != 0u);
    let k = k0 + to.x;
    let n = n0 + to.y;
    var value = 0.0;
    if (k < p.K && n < p.N) { value = b[select(k * p.N + n, n * p.K + k, p.transposeB != 0u)]; }
    tileB[to.x * TILE + to.y] = value;
  }
}

/** What the sums of row m, columns n to n + 3, start from. */
fn start(m: u32, n: u32) -> vec4<f32> {
  var s = vec4<f32>(0.0);
  for (var j = 0u; j < 4u; j++) {
    if (m < p.M && n + j < p.N) {
      if (p.accumulate != 0u) { s[j] = out[m * p.N + n + j]; }
      if (has(p.present, 4u)) { s[j] += bias[n + j]; }
    }
  }
  return s;
}

fn store(m: u32, n: u32, s: vec4<f32>) {
  for (var j = 0u; j < 4u; j++) {
    if (m < p.M && n + j < p.N) { out[m * p.N + n + j] = s[j]; }
  }
}

@compute @workgroup_size(THREADS)
fn matmul(here: Here) {
  let at = here.at;
  let n0 = here.group.x * TILE;
  let m0 = here.group.y * TILE;
  let row = at / 8u * 4u;
  let column = at % 8u * 4u;
  var s0 = start(m0 + row, n0 + column);
  var s1 = start(m0 + row + 1u, n0 + column);
  var s2 = start(m0 + row + 2u, n0 + column);
  var s3 = start(m0 + row + 3u, n0 + column);
  for (var k0 = 0u; k0 < p.K; k0 += DEPTH) {
    bringA(m0, k0, at);
    bringB(n0, k0, at);
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let i = k * TILE + row;
      let j = k * TILE + column;
      let right = vec4<f32>(tileB[j], tileB[j + 1u], tileB[j + 2u], tileB[j + 3u]);
      s0 += tileA[i] * right;
      s1 += tileA[i + 1u] * right;
      s2 += tileA[i + 2u] * right;
      s3 += tileA[i + 3u] * right;
    }
    workgroupBarrier();
  }
  store(m0 + row, n0 + column, s0);
  store(m0 + row + 1u, n0 + column, s1);
  store(m0 + row + 2u, n0 + column, s2);
  store(m0 + row + 3u, n0 + column, s3);
}
