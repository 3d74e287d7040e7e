// A teacher is fine-tuned, a student of its first layer distilled from it, and asked.
//   node distill.js BASE TRAIN OUT ["a text" …]      BASE: a BERT's folder; TRAIN: sentence and label, as TSV

import { distill, finetune, loadModel } from "limbeck";

const [model, train, out, ...texts] = process.argv.slice(2);
const teacher = await finetune({ model, train, epochs: 1 }).result;
const run = distill({
  teacher: teacher.model,
  student: "layers:1",
  recipe: "kd",
  train,
  out: `${out}/student`,
  epochs: 1,
});
for await (const event of run) if (event.type === "step") console.error(event.step, event.loss);

const student = await loadModel(`${out}/student`);
for (const { label, score } of await student.predict(texts)) console.log(label, score.toFixed(4));
student.dispose();
