// The compiled entry points of the shaders on one device. Layouts are explicit: "auto" would leave out what a shader does not use.

import { LimbeckError } from "../errors.ts";
import type { Dispatch } from "../program/dispatch.ts";
import { FEATURES, type Feature } from "./adapter.ts";
import { fileOf, front, plain, shaders, subgroups } from "./shaders.generated.ts";

export type Access = "storage" | "read-only-storage";

const COMPUTE = 4;

/**
 * Threads that may take each other's numbers: as many as the smallest subgroup of the device has, 1 where it has none, does not say, or
 * they are not wanted.
 */
export function subgroupOf({ features, adapterInfo }: GPUDevice, wanted: readonly Feature[] = FEATURES): number {
  return (wanted.includes("subgroups") && features.has("subgroups") && adapterInfo?.subgroupMinSize) || 1;
}

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #layoutOf = new Map<GPUComputePipeline, GPUBindGroupLayout>();
  /** Of the device, those that may be used. */
  readonly features: ReadonlySet<Feature>;

  /** What the front of each shader says of subgroups. */
  readonly #subgroups: { readonly enable: string; readonly constants: string; readonly library: string };
  /** For each kind of work the number of the variant that it gets. */
  tiling: readonly number[];

  /** `features`: which of the device's may be used. */
  constructor(device: GPUDevice, tiling: readonly number[] = [], features: readonly Feature[] = FEATURES) {
    this.#device = device;
    this.tiling = tiling;
    this.features = new Set(features.filter((name) => device.features.has(name)));
    const size = subgroupOf(device, features);
    const [enable, library] = size > 1 ? ["enable subgroups;", subgroups] : ["", plain];
    this.#subgroups = { enable, library, constants: `const SUBGROUP = ${size}u;` };
  }

  /** A dispatch as this device runs it best. */
  chosen(dispatch: Dispatch): Dispatch {
    const number = this.tiling[dispatch.kind ?? -1];
    return { ...dispatch, ...dispatch.variants?.[number] };
  }

  /** How many were compiled. */
  get size(): number {
    return this.#pipelines.size;
  }

  /** The pipeline of an entry point, behind this head, whose bindings 1, 2, … are accessed like this; binding 0 is the parameter block. */
  get(entry: string, access: readonly Access[], head = ""): GPUComputePipeline {
    const key = `${entry}\n${head}`;
    return (
      this.#pipelines.get(key) ??
      this.#keep(key, access, this.#device.createComputePipeline(this.#describe(entry, access, head)))
    );
  }

  /** The same while others go on; fails when the device does not take it, and tells nobody else. */
  async compile(entry: string, access: readonly Access[], head = ""): Promise<GPUComputePipeline> {
    const key = `${entry}\n${head}`;
    const known = this.#pipelines.get(key);
    return (
      known ??
      this.#keep(key, access, await this.#device.createComputePipelineAsync(this.#describe(entry, access, head)))
    );
  }

  layoutOf(pipeline: GPUComputePipeline): GPUBindGroupLayout {
    return this.#layoutOf.get(pipeline) as GPUBindGroupLayout;
  }

  #describe(entry: string, access: readonly Access[], head: string): GPUComputePipelineDescriptor {
    const file = fileOf[entry];
    if (file === undefined) throw new LimbeckError("UNSUPPORTED_OP", `the shaders have no entry point ${entry}`);
    if (head.startsWith("enable f16;") && !this.features.has("shader-f16"))
      throw new LimbeckError("GPU_FEATURE", `${entry} in half precision needs shader-f16, which this device lacks`);
    const most = this.#device.limits.maxStorageBuffersPerShaderStage;
    if (access.length > most)
      throw new LimbeckError("GPU_LIMIT", `${entry} binds ${access.length} buffers, the device allows ${most}`);
    return {
      label: entry,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [this.#layout(access)] }),
      compute: { module: this.#module(file, head), entryPoint: entry },
    };
  }

  #keep(key: string, access: readonly Access[], pipeline: GPUComputePipeline): GPUComputePipeline {
    this.#pipelines.set(key, pipeline);
    this.#layoutOf.set(pipeline, this.#layout(access));
    return pipeline;
  }

  #module(file: string, head: string): GPUShaderModule {
    const key = `${file}\n${head}`;
    const { enable, constants, library } = this.#subgroups;
    // Lines that enable something must be the first.
    const code = [enable, head, constants, front, library, shaders[file]].join("\n");
    const module = this.#modules.get(key) ?? this.#device.createShaderModule({ label: file, code });
    this.#modules.set(key, module);
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
