// What a GPU can do at most, measured: multiplications and additions that touch no memory, and memory that is only copied.

import { Stopwatch } from "./stopwatch.ts";

const COPY_DST = 8;
const UNIFORM = 64;
const STORAGE = 128;

const GROUP = 256;
const GROUPS = 1024;
/** Independent sums of a thread, four numbers each: enough to fill any pipeline, few enough for registers. */
const CHAINS = 8;
/** Milliseconds after which the start and the end of a run no longer matter. */
const ENOUGH = 10;
/** Bytes that are copied: more than caches hold, less than any limit. */
const COPIED = 2 ** 26;

const chains = (line: (i: number) => string) => Array.from({ length: CHAINS }, (_, i) => line(i)).join("\n  ");

const arithmetic = (step: (s: string) => string) => `
@group(0) @binding(0) var<uniform> turns: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@compute @workgroup_size(${GROUP})
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
  let x = vec4<f32>(0.999) + vec4<f32>(f32(at.x) * 1e-9);
  let y = vec4<f32>(0.001);
  ${chains((i) => `var s${i} = vec4<f32>(${i}.0) + x;`)}
  for (var turn = 0u; turn < turns.x; turn++) {
  ${chains((i) => `s${i} = ${step(`s${i}`)};`)}
  }
  out[at.x] = ${Array.from({ length: CHAINS }, (_, i) => `s${i}`).join(" + ")};
}`;

const COPY = `
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@compute @workgroup_size(${GROUP})
fn main(@builtin(global_invocation_id) at: vec3<u32>) { out[at.x] = x[at.x]; }`;

/** A pass of one shader over these buffers. */
function passOf(device: GPUDevice, code: string, buffers: readonly GPUBuffer[], groups: number) {
  const compute = { module: device.createShaderModule({ code }) };
  const pipeline = device.createComputePipeline({ layout: "auto", compute });
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  return (pass: GPUComputePassEncoder) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(groups);
  };
}

/** f32 multiplications and additions a second; `fma` or not, whichever the driver makes more of. */
export async function peakArithmetic(device: GPUDevice): Promise<number> {
  const turns = device.createBuffer({ size: 16, usage: UNIFORM | COPY_DST });
  const out = device.createBuffer({ size: GROUPS * GROUP * 16, usage: STORAGE });
  const stopwatch = new Stopwatch(device);
  let most = 0;
  for (const step of [(s: string) => `fma(${s}, x, y)`, (s: string) => `${s} * x + y`]) {
    const pass = passOf(device, arithmetic(step), [turns, out], GROUPS);
    for (let [count, ms] = [64, 0]; ms < ENOUGH; count *= 2) {
      device.queue.writeBuffer(turns, 0, Uint32Array.of(count, 0, 0, 0));
      ms = await stopwatch.best(2, pass);
      most = Math.max(most, (1000 * count * CHAINS * 4 * 2 * GROUP * GROUPS) / ms);
    }
  }
  for (const object of [turns, out, stopwatch]) object.destroy();
  return most;
}

/** Bytes read and written a second. */
export async function peakMemory(device: GPUDevice): Promise<number> {
  const buffers = [0, 1].map(() => device.createBuffer({ size: COPIED, usage: STORAGE }));
  const stopwatch = new Stopwatch(device);
  const ms = await stopwatch.best(2, passOf(device, COPY, buffers, COPIED / 16 / GROUP));
  for (const object of [...buffers, stopwatch]) object.destroy();
  return (1000 * 2 * COPIED) / ms;
}
