// What the form asks for, in a worker; the student's files are offered for download, and texts are classified with it.

import { distill, loadModel } from "./limbeck/web.js";

const at = (id) => document.getElementById(id);

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { teacher, train, student } = event.target.elements;
  at("said").textContent = "";
  try {
    const run = distill({ teacher: [...teacher.files], train: train.files[0], student: student.value, recipe: "kd" });
    for await (const event of run) {
      if (event.type === "step") at("loss").textContent = `${event.loss.toFixed(4)} after ${event.step} steps`;
      if (event.type === "note") at("said").textContent = event.text;
    }
    const { files } = await run.result;
    at("files").replaceChildren(...files.map(link));
    const model = await loadModel(files);
    at("text").disabled = false;
    at("text").oninput = async () => {
      const [{ label, score }] = await model.predict([at("text").value]);
      at("label").textContent = `${label} ${score.toFixed(4)}`;
    };
    at("text").oninput();
  } catch (error) {
    at("said").textContent = error.message;
  }
});

function link(file) {
  const [item, anchor] = [document.createElement("li"), document.createElement("a")];
  anchor.href = URL.createObjectURL(file);
  anchor.download = anchor.textContent = file.name;
  item.append(anchor);
  return item;
}
