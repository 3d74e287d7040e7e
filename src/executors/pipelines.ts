// The compiled entry points of the shaders on one device. Layouts are explicit: "auto" would leave out what a shader does not use.

import { LimbeckError } from "../errors.ts";
import { fileOf, front, shaders } from "./shaders.generated.ts";

export type Access = "storage" | "read-only-storage";

const COMPUTE = 4;

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #layoutOf = new Map<GPUComputePipeline, GPUBindGroupLayout>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** How many were compiled. */
  get size(): number {
    return this.#pipelines.size;
  }

  /** The pipeline of an entry point whose bindings 1, 2, … are accessed like this; binding 0 is the parameter block. */
  get(entry: string, access: readonly Access[]): GPUComputePipeline {
    const known = this.#pipelines.get(entry);
    if (known) return known;
    const file = fileOf[entry];
    if (file === undefined) throw new LimbeckError("UNSUPPORTED_OP", `the shaders have no entry point ${entry}`);
    const most = this.#device.limits.maxStorageBuffersPerShaderStage;
    if (access.length > most)
      throw new LimbeckError("GPU_LIMIT", `${entry} binds ${access.length} buffers, the device allows ${most}`);
    const layout = this.#layout(access);
    const pipeline = this.#device.createComputePipeline({
      label: entry,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: this.#module(file), entryPoint: entry },
    });
    this.#pipelines.set(entry, pipeline);
    this.#layoutOf.set(pipeline, layout);
    return pipeline;
  }

  layoutOf(pipeline: GPUComputePipeline): GPUBindGroupLayout {
    return this.#layoutOf.get(pipeline) as GPUBindGroupLayout;
  }

  #module(file: string): GPUShaderModule {
    const module =
      this.#modules.get(file) ?? this.#device.createShaderModule({ label: file, code: `${front}\n${shaders[file]}` });
    this.#modules.set(file, module);
    return module;
  }

  #layout(access: readonly Access[]): GPUBindGroupLayout {
    const key = access.join();
    const types: GPUBufferBindingType[] = ["uniform", ...access];
    const layout =
      this.#layouts.get(key) ??
      this.#device.createBindGroupLayout({
        entries: types.map((type, binding) => ({ binding, visibility: COMPUTE, buffer: { type } })),
      });
    this.#layouts.set(key, layout);
    return layout;
  }
}
