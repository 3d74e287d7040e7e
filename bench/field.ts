// The architectures that the field's papers made small, with random weights: how much smaller and faster each is than the model that its paper
// names, beside what the paper says. Speed depends on host, length and batch, which papers choose differently; here they are the same for all.
//   npm run bench -- field [--length 128] [--batch 1] [--rounds 3] [--threads 2]
// All take turns in one run on WASM; the median counts. Parameters are those of the body, without classifier.

import { parseArgs } from "node:util";
import { makeBatch } from "../src/data/batch.ts";
import { WasmExecutor } from "../src/executors/wasm.ts";
import { familyOf, type ModelConfig, parseConfig } from "../src/models/index.ts";
import { Random } from "../src/random.ts";
import { node } from "../src/runtimes/node.ts";
import { parametersOf } from "../src/train/programs.ts";
import { Predictor, placeWeights } from "../src/train/trainer.ts";
import { machine, median, randomWeights, table } from "./common.ts";

const VOCABULARY = 30522;

const { values: options } = parseArgs({
  options: {
    length: { type: "string", default: "128" },
    batch: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
  },
});
const [length, size, rounds, threads] = [options.length, options.batch, options.rounds, options.threads].map(Number);

const common = { vocab_size: VOCABULARY, max_position_embeddings: 512, num_labels: 2 };
const bert = (layers: number, width: number, heads: number, inner = 4 * width): ModelConfig =>
  parseConfig(
    JSON.stringify({
      ...{ ...common, model_type: "bert", type_vocab_size: 2, num_hidden_layers: layers, hidden_size: width },
      ...{ num_attention_heads: heads, intermediate_size: inner },
    }),
    "bert",
  );
const named = (type: string, own: object): ModelConfig =>
  parseConfig(JSON.stringify({ ...common, model_type: type, ...own }), type);

interface Contender {
  readonly name: string;
  readonly config: ModelConfig;
  /** Beside which model, and what its paper says: × smaller, × faster. */
  readonly of?: string;
  readonly published?: readonly [smaller: string, faster: string];
  /** Its tables of embeddings are left out; those of the other are not, as in its paper. */
  readonly bare?: boolean;
}

const base = bert(12, 768, 12);
const CONTENDERS: readonly Contender[] = [
  { name: "BERT-base", config: base },
  { name: "BERT-large", config: bert(24, 1024, 16) },
  {
    ...{ name: "DistilBERT", of: "BERT-base", published: ["1.67 (40 %)", "1.6 (60 %)"] },
    config: named("distilbert", { dim: 768, n_layers: 6, n_heads: 12, hidden_dim: 3072 }),
  },
  { name: "PKD-6", config: bert(6, 768, 12), of: "BERT-base", published: ["1.64", "1.94"] },
  { name: "PKD-3", config: bert(3, 768, 12), of: "BERT-base", published: ["2.40", "3.73"] },
  { name: "TinyBERT-4", config: bert(4, 312, 12, 1200), of: "BERT-base", published: ["7.5", "9.4"] },
  {
    ...{ name: "MobileBERT", of: "BERT-base", published: ["4.3", "5.5"] },
    config: named("mobilebert", {
      ...{
        type_vocab_size: 2,
        num_hidden_layers: 24,
        hidden_size: 512,
        num_attention_heads: 4,
        intermediate_size: 512,
      },
      ...{ embedding_size: 128, intra_bottleneck_size: 128, num_feedforward_networks: 4 },
      classifier_activation: false,
    }),
  },
  { name: "MiniLM-6×384", config: bert(6, 384, 12), of: "BERT-base", published: ["4.8", "5.3"] },
  {
    ...{ name: "BiLSTM", of: "BERT-large", published: ["349", "434"], bare: true },
    config: named("bilstm", { embedding_size: 300, hidden_size: 150, classifier_size: 200 }),
  },
];

/** Of the body, as papers count; or of everything but the tables of embeddings, where a paper compares so. */
function parameters(config: ModelConfig, bare: boolean): number {
  const { prefix, vectors = [] } = familyOf(config);
  let sum = 0;
  for (const [path, shape] of parametersOf(config))
    if (bare ? !vectors.includes(path) : path.startsWith(prefix)) sum += shape.reduce((a, b) => a * b, 1);
  return sum;
}

const random = new Random(1, "bench/field");
const rows = Array.from({ length: size }, () => ({
  ids: Array.from({ length }, () => random.below(VOCABULARY)),
  segments: new Array(length).fill(0),
}));
const batch = makeBatch(rows, { size });

const times = new Map<string, number[]>(CONTENDERS.map(({ name }) => [name, []]));
console.log(`${size} × ${length} tokens, ${threads} threads, median of ${rounds}; ${machine()}\n`);
// One at a time in memory: BERT-large alone takes 1.3 GB.
for (let round = 0; round < rounds; round++)
  for (const { name, config } of CONTENDERS) {
    const executor = await WasmExecutor.create(node, { threads });
    placeWeights(executor, "m", randomWeights(config));
    const predictor = new Predictor(executor, { owner: "m", config });
    await predictor.logits(batch);
    const began = performance.now();
    let [count, spent] = [0, 0];
    while (count < 1 || spent < 300) {
      await predictor.logits(batch);
      count++;
      spent = performance.now() - began;
    }
    times.get(name)?.push(spent / count);
    executor.dispose();
  }

const at = (name: string) => median(times.get(name) as number[]);
console.log(
  table(
    ["", "parameters", "ms", "of", "× smaller: paper", "here", "× faster: paper", "here"],
    CONTENDERS.map(({ name, config, of, published, bare = false }) => {
      const own = [name, parameters(config, bare).toLocaleString("en"), at(name).toFixed(1)];
      const other = CONTENDERS.find((contender) => contender.name === of);
      if (!other || !published) return [...own, "", "", "", "", ""];
      // A BERT's whole body stands against a BiLSTM without its tables, as its paper has it.
      const smaller = parameters(other.config, false) / parameters(config, bare);
      return [
        ...own,
        other.name,
        published[0],
        smaller.toFixed(2),
        published[1],
        (at(other.name) / at(name)).toFixed(2),
      ];
    }),
  ),
);
