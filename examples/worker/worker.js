// Edge inference: GET /?text=… answers with the student's label. The student's folder lies under the URL in STUDENT.

import { loadModel } from "limbeck/infer";

let student;

export default {
  async fetch(request, { STUDENT }) {
    const text = new URL(request.url).searchParams.get("text");
    if (text === null) return new Response("expected ?text=…\n", { status: 400 });
    student ??= await loadModel(STUDENT);
    const [prediction] = await student.predict([text]);
    return Response.json(prediction);
  },
};
