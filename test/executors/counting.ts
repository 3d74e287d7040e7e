// A GPUDevice that computes nothing and counts what it is asked for, so that budgets hold for models of any size and need no GPU. It is as
// strict as a real one where a mistake would stay unseen: a submit that names a destroyed buffer is refused.

/** What a device was asked for since it was made. */
export interface Counts {
  pipelines: number;
  bindGroups: number;
  passes: number;
  dispatches: number;
  /** Submits with work in them. */
  submits: number;
  maps: number;
  bytesToHost: number;
  bytesToDevice: number;
  /** Buffers that are not destroyed, and their bytes: now, and at most so far. */
  buffers: number;
  bytes: number;
  mostBytes: number;
}

/** WebGPU's default limits, as far as limbeck looks at them. */
const LIMITS = {
  ...{ maxStorageBuffersPerShaderStage: 8, maxStorageBufferBindingSize: 2 ** 27, maxBufferSize: 2 ** 28 },
  ...{ maxComputeWorkgroupsPerDimension: 65535, maxComputeWorkgroupStorageSize: 16384 },
  ...{ maxComputeInvocationsPerWorkgroup: 256, maxUniformBufferBindingSize: 65536 },
};

interface CountedBuffer {
  readonly size: number;
  destroyed: boolean;
}

/**
 * Each workgroup takes so many milliseconds of `clock`, which moves on when an answer comes; a test may put it in the place of
 * performance.now.
 */
export function countingDevice(milliseconds = 0): { device: GPUDevice; counts: Counts; clock: { now: number } } {
  const clock = { now: 0 };
  /** When all that was submitted is done. */
  let end = 0;
  const counts: Counts = {
    ...{ pipelines: 0, bindGroups: 0, passes: 0, dispatches: 0, submits: 0, maps: 0 },
    ...{ bytesToHost: 0, bytesToDevice: 0, buffers: 0, bytes: 0, mostBytes: 0 },
  };
  const createBuffer = ({ size, label }: GPUBufferDescriptor) => {
    counts.buffers++;
    counts.bytes += size;
    counts.mostBytes = Math.max(counts.mostBytes, counts.bytes);
    let mapped = size;
    return {
      ...{ size, label, destroyed: false },
      destroy() {
        if (this.destroyed) return;
        this.destroyed = true;
        counts.buffers--;
        counts.bytes -= size;
      },
      async mapAsync(_: number, offset = 0, length = size - offset) {
        counts.maps++;
        counts.bytesToHost += length;
        mapped = length;
      },
      getMappedRange: (_ = 0, length = mapped) => new ArrayBuffer(length),
      unmap() {},
    };
  };
  const createBindGroup = ({ label, entries }: GPUBindGroupDescriptor) => {
    counts.bindGroups++;
    const buffers = [...entries].map(
      ({ resource }) => (resource as GPUBufferBinding).buffer as unknown as CountedBuffer,
    );
    return { label, buffers };
  };
  const createCommandEncoder = () => {
    const used: CountedBuffer[] = [];
    let [dispatches, workgroups] = [0, 0];
    return {
      beginComputePass() {
        counts.passes++;
        return {
          setPipeline() {},
          setBindGroup: (_: number, { buffers }: { buffers: CountedBuffer[] }) => void used.push(...buffers),
          dispatchWorkgroups(x: number, y = 1, z = 1) {
            dispatches++;
            workgroups += x * y * z;
          },
          end() {},
        };
      },
      copyBufferToBuffer: (from: CountedBuffer, _: number, to: CountedBuffer) => void used.push(from, to),
      clearBuffer: (buffer: CountedBuffer) => void used.push(buffer),
      finish: () => ({ used, dispatches, workgroups }),
    };
  };
  const queue = {
    submit(work: ReturnType<ReturnType<typeof createCommandEncoder>["finish"]>[]) {
      if (work.length === 0) return;
      counts.submits++;
      for (const { used, dispatches, workgroups } of work) {
        if (used.some(({ destroyed }) => destroyed)) throw new Error("a submit names a buffer that was destroyed");
        counts.dispatches += dispatches;
        end = Math.max(end, clock.now) + workgroups * milliseconds;
      }
    },
    writeBuffer({ destroyed, size }: CountedBuffer, offset: number, data: ArrayBufferView) {
      if (destroyed || offset + data.byteLength > size) throw new Error("a write beyond a buffer, or to none");
      counts.bytesToDevice += data.byteLength;
    },
    // Not at once: a device answers in another turn of the event loop.
    onSubmittedWorkDone() {
      const at = end;
      return new Promise<void>((resolve) =>
        setImmediate(() => {
          clock.now = Math.max(clock.now, at);
          resolve();
        }),
      );
    },
  };
  const device = {
    ...{ limits: LIMITS, features: new Set(["shader-f16"]), lost: new Promise(() => {}), queue },
    ...{ createBuffer, createBindGroup, createCommandEncoder },
    createComputePipeline: ({ label }: GPUComputePipelineDescriptor) => {
      counts.pipelines++;
      return { label };
    },
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    ...{ pushErrorScope() {}, popErrorScope: async () => null },
    ...{ addEventListener() {}, removeEventListener() {}, destroy() {} },
  };
  return { device: device as unknown as GPUDevice, counts, clock };
}
