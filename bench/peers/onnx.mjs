// ONNX models as bytes, for onnxruntime: an encoder with a classifier, and a chain of products. The format is protocol buffers
// (github.com/onnx/onnx, onnx.proto); the numbers are those of its fields.

/** A message: pairs of a field's number and an integer, a text, bytes, or a message. */
function message(fields) {
  const bytes = [];
  const integer = (value) => {
    let left = BigInt.asUintN(64, BigInt(value));
    for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
    bytes.push(Number(left));
  };
  const parts = [];
  const flush = () => parts.push(Uint8Array.from(bytes.splice(0)));
  for (const [field, value] of fields) {
    if (typeof value === "number") {
      integer(field * 8);
      integer(value);
      continue;
    }
    const data = typeof value === "string" ? new TextEncoder().encode(value) : value;
    integer(field * 8 + 2);
    integer(data.length);
    flush();
    parts.push(data);
  }
  flush();
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, part) => {
    whole.set(part, at);
    return at + part.length;
  }, 0);
  return whole;
}

const FLOAT = 1;
const INT64 = 7;

function tensor(name, shape, data) {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return message([
    ...shape.map((n) => [1, n]),
    [2, data instanceof BigInt64Array ? INT64 : FLOAT],
    [8, name],
    [9, raw],
  ]);
}

function typed(name, shape) {
  const dimensions = message(shape.map((n) => [1, message([[1, n]])]));
  return message([
    [1, name],
    [
      2,
      message([
        [
          1,
          message([
            [1, FLOAT],
            [2, dimensions],
          ]),
        ],
      ]),
    ],
  ]);
}

const float = (x) => new Uint8Array(Float32Array.of(x).buffer);

class Graph {
  #nodes = [];
  #tensors = [];
  #names = 0;

  tensor(shape, data) {
    const name = `t${this.#names++}`;
    this.#tensors.push(tensor(name, shape, data));
    return name;
  }

  scalar = (x) => this.tensor([], Float32Array.of(x));
  shape = (...dims) => this.tensor([dims.length], BigInt64Array.from(dims, BigInt));

  /** Attributes are integers, lists of them, or `{ float }`. */
  op(type, inputs, attributes = {}, output = `n${this.#names++}`) {
    const fields = Object.entries(attributes).map(([name, value]) => {
      if (Array.isArray(value)) return message([[1, name], ...value.map((n) => [8, n]), [20, 7]]);
      if (typeof value === "number")
        return message([
          [1, name],
          [3, value],
          [20, 2],
        ]);
      // A float has a wire type of its own: its tag, then four bytes.
      return Uint8Array.from([
        ...message([
          [1, name],
          [20, 1],
        ]),
        2 * 8 + 5,
        ...float(value.float),
      ]);
    });
    this.#nodes.push(
      message([...inputs.map((name) => [1, name]), [2, output], [4, type], ...fields.map((field) => [5, field])]),
    );
    return output;
  }

  model(input, inputShape, output, outputShape) {
    const graph = message([
      ...this.#nodes.map((node) => [1, node]),
      [2, "bench"],
      ...this.#tensors.map((one) => [5, one]),
      [11, typed(input, inputShape)],
      [12, typed(output, outputShape)],
    ]);
    return message([
      [1, 9],
      [7, graph],
      [
        8,
        message([
          [1, ""],
          [2, 17],
        ]),
      ],
    ]);
  }
}

/** x: [B·T, D] → logits: [B, 2]. */
export function encoder({ config, weights, sizes }) {
  const { sequences: B, length: T, width: D, heads: H, layers } = sizes;
  const g = new Graph();
  const parameter = (path) => g.tensor(weights.get(path).shape, weights.get(path).data);
  const dense = (path, x) => {
    const turned = g.op("Transpose", [parameter(`${path}.weight`)], { perm: [1, 0] });
    return g.op("Add", [g.op("MatMul", [x, turned]), parameter(`${path}.bias`)]);
  };
  const norm = (path, x) =>
    g.op("LayerNormalization", [x, parameter(`${path}.weight`), parameter(`${path}.bias`)], {
      axis: -1,
      epsilon: { float: config.layer_norm_eps },
    });
  const split = (x, perm) => g.op("Transpose", [g.op("Reshape", [x, g.shape(B, T, H, D / H)])], { perm });
  let x = "x";
  for (let i = 0; i < layers; i++) {
    const at = `bert.encoder.layer.${i}`;
    const self = (name) => dense(`${at}.attention.self.${name}`, x);
    const [q, v] = [split(self("query"), [0, 2, 1, 3]), split(self("value"), [0, 2, 1, 3])];
    const scores = g.op("MatMul", [q, split(self("key"), [0, 2, 3, 1])]);
    const attention = g.op("Softmax", [g.op("Mul", [scores, g.scalar(1 / Math.sqrt(D / H))])], { axis: -1 });
    const mixed = g.op("Transpose", [g.op("MatMul", [attention, v])], { perm: [0, 2, 1, 3] });
    const context = dense(`${at}.attention.output.dense`, g.op("Reshape", [mixed, g.shape(B * T, D)]));
    const attended = norm(`${at}.attention.output.LayerNorm`, g.op("Add", [context, x]));
    const up = dense(`${at}.intermediate.dense`, attended);
    const erf = g.op("Erf", [g.op("Div", [up, g.scalar(Math.SQRT2)])]);
    const gelu = g.op("Mul", [g.op("Mul", [up, g.op("Add", [erf, g.scalar(1)])]), g.scalar(0.5)]);
    x = norm(`${at}.output.LayerNorm`, g.op("Add", [dense(`${at}.output.dense`, gelu), attended]));
  }
  const first = g.op("Gather", [g.op("Reshape", [x, g.shape(B, T, D)]), g.tensor([], BigInt64Array.of(0n))], {
    axis: 1,
  });
  const pooled = g.op("Tanh", [dense("bert.pooler.dense", first)]);
  g.op("Identity", [dense("classifier", pooled)], {}, "y");
  return g.model("x", [B * T, D], "y", [B, 2]);
}

/** x·b·b·…: [n, n]. */
export function chain({ b, sizes: { square, products } }) {
  const g = new Graph();
  const right = g.tensor([square, square], b);
  let x = "x";
  for (let i = 0; i < products; i++) x = g.op("MatMul", [x, right], {}, i === products - 1 ? "y" : `p${i}`);
  return g.model("x", [square, square], "y", [square, square]);
}

/** x·b: [M, N]. */
export function product({ b, sizes: { M, N, K } }) {
  const g = new Graph();
  g.op("MatMul", ["x", g.tensor([K, N], b)], {}, "y");
  return g.model("x", [M, K], "y", [M, N]);
}
