// Sizes that the shaders share with the code that counts workgroups (src/program/dispatch.ts). The build writes them as `const` lines
// in front of every shader.

/** Threads of a workgroup that goes over elements, one element a thread. */
export const GROUP = 256;

/** A workgroup that goes over rows: so many rows, so many threads for each. */
export const ROWS = 4;
export const LANES = 16;

/** A workgroup that sums columns: so many columns, each cut into so many slices of rows. */
export const COLUMNS = 16;
export const SLICES = 16;

/** The matrix product: a workgroup makes TILE × TILE elements, DEPTH terms of each sum at a time. */
export const TILE = 32;
export const DEPTH = 16;

/** The same inside attention, where sequences are short. */
export const ATTENTION_TILE = 16;

/** Elements of one tensor that one workgroup squares and adds for the global norm. */
export const CHUNK = 4096;

/** Floats of workgroup memory for an lstm: the gates' gradients of one row, so at most a quarter as many units. */
export const LSTM_WIDTH = 4096;
