// A narrower model out of a wider one: what matters least is cut away, and the rest keeps its numbers. Importance is read off the weights
// alone (magnitude, as Han et al. 2015, arXiv:1506.02626, for weights), for whole units:
//   an inner unit, a head   what writes it times what reads it: Σ in² · Σ out², layer by layer
//   a place of the states   the gains of the norms that write it times the products that read it: Σ γ² · Σ W², over all layers
// Heads keep their width, so that attention means what it meant.

import { InputError } from "../errors.ts";
import type { Axis, Size } from "../models/family.ts";
import { familyOf, type ModelConfig } from "../models/index.ts";
import type { Tensor, Weights } from "./model.ts";

type Body = { config: ModelConfig; weights: Weights };

export function sliceWidth({ config, weights }: Body, wanted: Partial<Size>): Body {
  const family = familyOf(config);
  const { axes } = family;
  const from = family.size(config);
  const refuse = (message: string): never => {
    throw new InputError("STUDENT_SLICE", message, { where: "--student" });
  };
  if (!axes) return refuse(`a model of type ${config.model_type} cannot be sliced; bert and distilbert can.`);
  const { width = from.width } = wanted;
  const { heads = (from.heads * width) / from.width, inner = Math.round((from.inner * width) / from.width) } = wanted;
  const headWidth = from.width / from.heads;
  if (!Number.isInteger(heads) || heads * headWidth !== width)
    refuse(
      `heads keep their width, ${headWidth}: ${width} must be a multiple of it, and ${width / headWidth} the heads.`,
    );
  const size: Size = { ...from, width, heads, inner };
  for (const key of ["width", "heads", "inner"] as const)
    if (size[key] > from[key] || size[key] < 1)
      refuse(`${key} ${size[key]} is not between 1 and the source's ${from[key]}.`);

  const layerOf = (path: string) =>
    path.startsWith(family.layers) ? Number.parseInt(path.slice(family.layers.length), 10) : -1;
  const unitsOf = { width: from.width, heads: from.heads, inner: from.inner } as const;
  /** The most important units of an axis, in their old order; of a layer where each has its own. */
  const chosen = (axis: Axis, layer?: number): number[] => {
    const written = new Float64Array(unitsOf[axis]);
    const read = new Float64Array(unitsOf[axis]);
    for (const [path, tensor] of weights) {
      if (layerOf(path) < 0 || (layer !== undefined && layerOf(path) !== layer)) continue;
      const [first, second] = axes(path);
      const matrix = tensor.shape.length === 2;
      if (first === axis && (axis === "width" ? !matrix && path.endsWith(".weight") : matrix))
        addSquares(written, tensor, 0);
      if (matrix && second === axis) addSquares(read, tensor, 1);
    }
    const worth = written.map((square, unit) => square * read[unit]);
    const order = Array.from(worth.keys()).sort((a, b) => worth[b] - worth[a] || a - b);
    return order.slice(0, size[axis]).sort((a, b) => a - b);
  };
  const places = chosen("width");
  const kept = new Map<string, number[]>();
  const keptOf = (axis: Axis, layer: number): number[] => {
    if (axis === "width") return places;
    const key = `${axis}/${layer}`;
    const units = kept.get(key) ?? chosen(axis, layer);
    kept.set(key, units);
    if (axis === "inner") return units;
    return units.flatMap((head) => Array.from({ length: headWidth }, (_, i) => head * headWidth + i));
  };
  const sliced: Weights = new Map();
  for (const [path, tensor] of weights)
    sliced.set(
      path,
      tensor.shape.reduce<Tensor>((cut, _, dim) => {
        const axis = axes(path)[dim];
        return axis === undefined ? cut : take(cut, dim, keptOf(axis, layerOf(path)));
      }, tensor),
    );
  return { config: family.sized(size, config), weights: sliced };
}

/** Adds the squares of a vector, or along a dimension of a matrix, to its units, each of which spans as many rows or columns. */
function addSquares(units: Float64Array, { shape, data }: Tensor, dim: number): void {
  const columns = shape.length === 2 ? shape[1] : 1;
  const span = shape[dim] / units.length;
  for (const [i, x] of data.entries()) {
    const at = dim === 0 ? Math.floor(i / columns) : i % columns;
    units[Math.floor(at / span)] += x * x;
  }
}

/** The given rows (dim 0) or columns (dim 1). */
function take({ shape, data }: Tensor, dim: number, indices: readonly number[]): Tensor {
  const [rows, columns] = [shape[0], shape[1] ?? 1];
  const taken = dim === 0 ? indices.map((row) => data.subarray(row * columns, (row + 1) * columns)) : [];
  if (dim === 1)
    for (let row = 0; row < rows; row++)
      taken.push(Float32Array.from(indices, (column) => data[row * columns + column]));
  const out = new Float32Array(taken.reduce((sum, part) => sum + part.length, 0));
  taken.reduce((at, part) => {
    out.set(part, at);
    return at + part.length;
  }, 0);
  return { shape: shape.map((n, d) => (d === dim ? indices.length : n)), data: out };
}
