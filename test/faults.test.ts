// What may go wrong, and what must come of it. A test that shows one of these names it at the end of its title, as in "… [C5]"; here it is
// held that each has such a test, and that none names what is not in the list.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const FAULTS = {
  // Runs and their checkpoints
  C1: "killed at any moment of a checkpoint: it goes on behind that one or the one before, to the same bytes",
  C2: "power lost, so that writes which were not synced are torn or gone: likewise",
  C3: "killed between any two steps, in an epoch or an accumulation: likewise",
  C4: "a partial folder is left, and the same step is saved again: it is replaced",
  C5: "the newest checkpoint is damaged afterwards: it is named, the one before is used",
  C6: "the disk is full, or takes part of a write: said, the checkpoint before stays, the run can go on",
  C7: "killed while older checkpoints go, or when one alone is kept: there is always a valid one",
  C8: "resumed with other data, models, options, or another version: refused with the list of differences, or forced by name",
  C9: "a folder that cannot be written, a path that is a file, a file that vanishes: a typed error before anything is trained",
  C10: "two processes on one run: the second is refused",
  // Models
  M1: "a truncated safetensors file: the bytes that are there, and those that were expected",
  M2: "a git-LFS pointer: named, with the size and the remedy",
  M3: "hostile headers: each refused by its own code, without time or memory beyond the file's size",
  M4: "other types of numbers: halves are converted with a note, the rest is refused by the tensor's name",
  M5: "missing, unexpected and mis-shaped tensors, other names for the same: listed exactly, never filled at random",
  M6: "a configuration with faults: the path of each field; unsupported architectures by name",
  M7: "a tokenizer that is not BERT's, or is damaged: refused, never a wrong id",
  M8: "a teacher of another vocabulary: refused where tokens are compared, allowed for logits",
  M9: "paths and links out of the folder, devices and pipes: refused before they are opened",
  M10: "NaN or infinity in weights: refused with tensor and index, unless they are allowed",
  // Data
  D1: "malformed rows: file, physical line and reason; left out up to --skip-bad, and listed",
  D2: "encodings: a byte-order mark is stripped, what is not UTF-8 refused with its byte and a hint; only \\n and \\r\\n end rows",
  D3: "empty files and texts, one class, a class without rows, repeated rows, rows of the evaluation in the training: refused, or said with counts",
  D4: "labels that are none of the model's: line, label and labels, before anything is trained",
  D5: "texts longer than the model reads: cut, counted, in linear time",
  D6: "any Unicode: the ids of Hugging Face's tokenizers",
  // Numbers
  N1: "a loss or gradient that is NaN or infinite: the step is skipped, counted and logged as it is; after some in a row the run stops",
  N2: "temperatures and logits at their ends, equal logits, probabilities of 0: finite, as in f64",
  N3: "resumed on another device: allowed, said, and within a bound",
  N4: "the same seed: the same bytes, under WASM on any number of threads and engine, on a GPU again",
  // Devices
  G1: "a GPU lost at any moment, once or again and again: the run ends as if it had not been, or under WASM",
  G2: "memory that does not suffice: smaller batches with the same effective one, or an error with the bytes; everything is given back",
  G3: "limits and features at their least: it runs, or says which limit",
  G4: "a shader that does not compile, a dispatch that takes long: the kernel is named, submits are bounded in time",
  G5: "an adapter that computes wrongly, or on the CPU: found when it is opened, and said",
  // Workers, life of a process, what leaves it
  W1: "a worker that fails or does not start: a typed error, no hang",
  W2: "a tab hidden, closed, reloaded, crashed: it goes on from the last checkpoint",
  W3: "quota exceeded, no private storage: said, the training goes on",
  W4: "no isolation, a strict content policy, no network: it runs, and asks for nothing",
  L1: "a thousand steps: memory, pages, buffers and handles do not grow",
  L2: "a signal once: the step is finished and saved; twice: it ends at once, still consistent",
  E1: "what is written loads in other libraries, with the same numbers",
  F1: "random files: typed errors, no hang, no more memory than twice their size",
};

/** What has no test yet, and why. */
const WAITING: Partial<Record<keyof typeof FAULTS, string>> = {
  W2: "the web page",
  W3: "the web page",
};

const root = new URL(".", import.meta.url).pathname;
const titles = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .flatMap((name) => [...readFileSync(join(root, name), "utf8").matchAll(/((?: \[[A-Z]\d+\])+)["'`]/g)])
  .flatMap(([, tags]) => tags.match(/[A-Z]\d+/g) ?? []);
const shown = new Set(titles);

test.each(Object.entries(FAULTS))("%s: %s", (id) => {
  expect(shown.has(id), `${id} has a test, or waits for one`).toBe(!(id in WAITING));
});

test("titles name faults of the list", () => {
  expect([...shown].filter((id) => !(id in FAULTS))).toEqual([]);
});
