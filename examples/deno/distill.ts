// The same as examples/node/distill.js, in Deno:
//   deno run --allow-read --allow-write=OUT --allow-env --allow-sys=hostname distill.ts BASE TRAIN OUT ["a text" …]
// In a script of its own, without a package.json, write "npm:limbeck" for "limbeck".

import { distill, finetune, loadModel } from "limbeck";

const [model, train, out, ...texts] = Deno.args;
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

using student = await loadModel(`${out}/student`);
for (const { label, score } of await student.predict(texts)) console.log(label, score.toFixed(4));
