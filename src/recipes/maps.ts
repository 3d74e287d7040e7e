// Which teacher layer each student layer learns from: every map of the literature. Layers count from 1, N of the teacher, M of the student.

import { InputError } from "../errors.ts";

/** Half up, in whole numbers: i·N/M. */
const share = (i: number, N: number, M: number): number => Math.floor((2 * i * N + M) / (2 * M));

const all = (M: number): number[] => Array.from({ length: M }, (_, i) => i + 1);
const belowLast = (M: number): number[] => all(M - 1);
const last = (M: number): number[] => [M];

/** Which student layers, and the teacher's for one of them. */
const MAPS = {
  /** TinyBERT's g(m) = m·N/M (Jiao et al. 2020, section 4.1), rounded where M does not divide N. */
  uniform: [all, share],
  /** Its comparisons (table 4): the teacher's last layers, or its first. */
  top: [all, (m: number, N: number, M: number) => N - M + m],
  bottom: [all, (m: number) => m],
  /** Patient KD (Sun et al. 2019, section 3.2), which leaves the student's last layer out. */
  skip: [belowLast, share],
  last: [belowLast, (i: number, N: number, M: number) => N - M + i],
  /** MiniLM (Wang et al. 2020): the last layer from the last. */
  final: [last, (_: number, N: number) => N],
} as const;

export type LayerMap = keyof typeof MAPS;
export const LAYER_MAPS = Object.keys(MAPS) as LayerMap[];

/**
 * The layers, numbered from 0, that a student of M layers begins with: from the first to the last, evenly, half up. Of 12 layers six are
 * 0, 2, 4, 7, 9 and 11 (Sanh et al. 2019, in its code).
 */
export function spreadLayers(N: number, M: number): number[] {
  return Array.from({ length: M }, (_, i) => (M === 1 ? 0 : share(i, N - 1, M - 1)));
}

/** Pairs [student layer, teacher layer]; `teacherLayers` in place of the map's choice. */
export function layerPairs(
  map: LayerMap,
  N: number,
  M: number,
  teacherLayers?: readonly number[],
): (readonly [student: number, teacher: number])[] {
  const [students, rule] = MAPS[map];
  const chosen = students(M);
  if (chosen.length === 0)
    throw new InputError(
      "RECIPE_LAYERS",
      `map "${map}" matches the layers below the last: a student of ${M} layer has none; use another recipe or a deeper student.`,
    );
  const layers = teacherLayers ?? chosen.map((m) => rule(m, N, M));
  if (layers.length !== chosen.length || layers.some((g) => !Number.isInteger(g) || g < 1 || g > N))
    throw new InputError(
      "LAYER_MAP",
      `[${layers}] must name ${chosen.length} teacher layers between 1 and ${N}, one for each of the student's layers ${chosen.join(", ")} (map "${map}").`,
    );
  return chosen.map((m, i) => [m, layers[i]] as const);
}
