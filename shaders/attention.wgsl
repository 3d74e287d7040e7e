// Products inside the attention of each sequence and head, over ragged batches (Vaswani et al. 2017, eq. 1). d = D/H; i and j count the
// rows of one sequence, which begins at row `start`; L is at least the longest sequence.
//   attentionPairs  S[start+i,h,j] = scale·Σ_c q[start+i,h,c]·k[start+j,h,c] for j < the sequence's length, else 0
//   attentionMix    O[start+i,h,:] = scale·Σ_j p[start+i,h,j]·v[start+j,h,:]
//   attentionMixT   O[start+j,h,:] = scale·Σ_i p[start+i,h,j]·x[start+i,h,:]
// bySequence: q, p, S, x of the last and O of the second have one row for each sequence b in place of its tokens' rows: row b.
// Rows past the last sequence are 0. All three are one product of two matrices that are told by their strides. The grid is (squares of
// ATTENTION_TILE × ATTENTION_TILE elements that the longest sequence could need, heads, sequences and one for the tail).

// N: rows of out.
struct Parameters { accumulate: u32, present: u32, N: u32, D: u32, H: u32, L: u32, B: u32, scale: f32, bySequence: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> offsets: array<u32>; // [B + 1]

const T = ATTENTION_TILE;
const THREADS = 64u;

/** out[i, j] = scale·Σ_k a[i, k]·b[k, j]: where element (0, 0) of each lies, and the steps to the next row, term and column. */
struct Product {
  rows: u32, columns: u32, terms: u32,
  // out is written as wide as this; zeros from `columns` on.
  width: u32,
  a: u32, aRow: u32, aTerm: u32,
  b: u32, bTerm: u32, bColumn: u32,
  out: u32, outRow: u32,
}

// [T, T] both, a term a row.
var<workgroup> tileA: array<f32, T * T>;
var<workgroup> tileB: array<f32, T * T>;

/** One square of the product whose first element is (i0, j0); each thread makes 2 × 2 elements of it. */
fn square(m: Product, i0: u32, j0: u32, at: u32) {
  let row = at / 8u * 2u;
  let column = at % 8u * 2u;
  var s0 = vec2<f32>(0.0);
  var s1 = vec2<f32>(0.0);
  for (var k0 = 0u; k0 < m.terms; k0 += T) {
    for (var turn = at; turn < T * T; turn += THREADS) {
      let k = k0 + turn / T;
      let i = i0 + turn % T;
      let j = j0 + turn % T;
      var left = 0.0;
      var right = 0.0;
      if (k < m.terms && i < m.rows) { left = a[m.a + i * m.aRow + k * m.aTerm]; }
      if (k < m.terms && j < m.columns) { right = b[m.b + k * m.bTerm + j * m.bColumn]; }
      tileA[turn] = left;
      tileB[turn] = right;
    }
    workgroupBarrier();
    for (var k = 0u; k < T; k++) {
      let right = vec2<f32>(tileB[k * T + column], tileB[k * T + column + 1u]);
      s0 += tileA[k * T + row] * right;
      s1 += tileA[k * T + row + 1u] * right;
    }
    workgroupBarrier();
  }
  store(m, i0 + row, j0 + column, s0);
  store(m, i0 + row + 1u, j0 + column, s1);
}

fn store(m: Product, i: u32, j: u32, s: vec2<f32>) {
  if (i < m.rows && j < m.width) { out[m.out + i * m.outRow + j] = p.scale * s.x; }
  if (i < m.rows && j + 1u < m.width) { out[m.out + i * m.outRow + j + 1u] = p.scale * s.y; }
}

/**
 * What a workgroup does: square number `group.x` of its sequence and head, or its share of the tail. `group` stands alone because
 * a thread's own number beside it in a struct would make it no longer the same for the whole workgroup, which barriers ask for.
 */
fn work(group: vec3<u32>, at: u32, m: Product) {
  let across = (m.width + T - 1u) / T;
  let i0 = group.x / across * T;
  let j0 = group.x % across * T;
  if (i0 >= m.rows) { return; }
  if (group.z < p.B) {
    square(m, i0, j0, at);
    return;
  }
  // The tail may have more rows than the longest sequence.
  for (var i = i0; i < m.rows; i += (p.L + T - 1u) / T * T) {
    for (var turn = at; turn < T * T; turn += THREADS) {
      if (i + turn / T < m.rows && j0 + turn % T < m.width) {
        out[m.out + (i + turn / T) * m.outRow + j0 + turn % T] = 0.0;
      }
    }
  }
}

fn sequenceStart(b: u32) -> u32 {
  return offsets[b];
}

/** Rows of sequence b; of the tail those to N. */
fn sequenceLength(b: u32) -> u32 {
  if (b == p.B) { return p.N - offsets[b]; }
  return offsets[b + 1u] - offsets[b];
}

/** The first row of sequence b that attends, and how many do. */
fn attendingStart(b: u32) -> u32 {
  return select(offsets[b], b, p.bySequence != 0u);
}

fn attending(b: u32) -> u32 {
  if (p.bySequence == 0u) { return sequenceLength(b); }
  return select(1u, 0u, b == p.B);
}

@compute @workgroup_size(THREADS)
fn attentionPairs(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) at: u32) {
  let n = sequenceLength(group.z);
  let d = p.D / p.H;
  let q = attendingStart(group.z) * p.D + group.y * d;
  let k = sequenceStart(group.z) * p.D + group.y * d;
  let map = (attendingStart(group.z) * p.H + group.y) * p.L;
  work(group, at, Product(attending(group.z), n, d, p.L, q, p.D, 1u, k, 1u, p.D, map, p.H * p.L));
}

@compute @workgroup_size(THREADS)
fn attentionMix(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) at: u32) {
  let n = sequenceLength(group.z);
  let d = p.D / p.H;
  let head = attendingStart(group.z) * p.D + group.y * d;
  let v = sequenceStart(group.z) * p.D + group.y * d;
  let map = (attendingStart(group.z) * p.H + group.y) * p.L;
  work(group, at, Product(attending(group.z), d, n, d, map, p.H * p.L, 1u, v, p.D, 1u, head, p.D));
}

@compute @workgroup_size(THREADS)
fn attentionMixT(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) at: u32) {
  let n = sequenceLength(group.z);
  let d = p.D / p.H;
  let x = attendingStart(group.z) * p.D + group.y * d;
  let head = sequenceStart(group.z) * p.D + group.y * d;
  let map = (attendingStart(group.z) * p.H + group.y) * p.L;
  work(group, at, Product(n, d, attending(group.z), d, map, 1u, p.H * p.L, x, p.D, 1u, head, p.D));
}
