# workerd serve config.capnp, with the URL of the student's folder in the environment: STUDENT=https://…/student/
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "limbeck/infer", esModule = embed "node_modules/limbeck/dist/infer.workerd.js"),
    (name = "limbeck/limbeck.inference.wasm", wasm = embed "node_modules/limbeck/dist/limbeck.inference.wasm"),
  ],
  bindings = [(name = "STUDENT", fromEnvironment = "STUDENT")],
  compatibilityDate = "2026-01-01",
);
