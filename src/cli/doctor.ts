// limbeck doctor: what this machine has for limbeck, and whether its kernels compute rightly.

import { Command, Option } from "commander";
import type { Diagnosis } from "../index.ts";
import { GPU_FEATURES } from "../train/options.ts";
import { VERSION } from "../version.ts";
import { bytes, outputFor, table } from "./output.ts";

const FAILED = 1;

/** WebGPU limits that models meet. */
const LIMITS = ["maxStorageBufferBindingSize", "maxBufferSize", "maxComputeWorkgroupsPerDimension"];

export function doctorCommand(): Command {
  return new Command("doctor")
    .description(
      "what this machine has: threads, GPU adapters, kernels against the reference, and what --device auto chooses",
    )
    .addOption(new Option("--json", "one JSON object on stdout; words for people on stderr"))
    .action(async ({ json }: { json?: boolean }) => {
      const output = outputFor(json === true);
      const { doctor } = await import("../index.ts");
      const diagnosis = await doctor();
      output.emit({ type: "doctor", limbeck: VERSION, ...diagnosis });
      output.say(diagnosisText(diagnosis));
      // A GPU that is wrong is not used, so it is no failure.
      if (diagnosis.wasm.problem !== undefined || diagnosis.wasm.wrong.length > 0) process.exitCode = FAILED;
    });
}

const yes = (is: boolean) => (is ? "yes" : "no");

function diagnosisText({ host, cores, memory, wasm, webgpu, auto }: Diagnosis): string {
  const blocks = [
    table([
      ["limbeck", VERSION],
      ["host", host],
      ["cores", String(cores)],
      ["memory", memory === undefined ? "not told" : bytes(memory)],
      ["WASM threads", String(wasm.threads)],
      ["shared memory", yes(wasm.sharedMemory)],
      ["SIMD", yes(wasm.simd)],
      ["relaxed SIMD", yes(wasm.relaxedSimd)],
    ]),
    ...webgpu.adapters
      .slice(0, 1)
      .map((adapter) =>
        table([
          ["WebGPU adapter", adapter.name],
          ["it is", adapter.kind === "software" ? "software, on the CPU" : adapter.kind],
          ...webgpu.adapters.slice(1).map(({ name, kind }) => ["another adapter", `${name} (${kind})`]),
          ...GPU_FEATURES.map((feature) => [feature, yes(adapter.features.includes(feature))]),
          ...LIMITS.map((limit) => [limit, adapter.limits[limit].toLocaleString("en")]),
        ]),
      ),
  ];
  return [...blocks, kernelTable(wasm, webgpu), `--device auto: ${auto}`].join("\n\n");
}

function kernelTable(wasm: Diagnosis["wasm"], webgpu: Diagnosis["webgpu"]): string {
  const all = Object.entries({ wasm, webgpu });
  const running = all.filter(([, { problem }]) => problem === undefined);
  const rows = Object.keys(running[0]?.[1].errors ?? {}).map((kernel) => [
    kernel,
    ...running.map(
      // A GPU without half precision does not run its kernels.
      ([, { errors, wrong }]) =>
        kernel in errors ? `${errors[kernel].toExponential(0)}${wrong.includes(kernel) ? " WRONG" : ""}` : "",
    ),
  ]);
  const problems = all.flatMap(([name, { problem }]) =>
    problem === undefined ? [] : [`${name} does not run: ${problem}`],
  );
  const title = ["kernel: error against the reference", ...running.map(([name]) => name)];
  return [...(rows.length > 0 ? [table([title, ...rows])] : []), ...problems].join("\n\n");
}
