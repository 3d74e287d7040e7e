// GPUs that are not what they seem.

type Info = Partial<GPUAdapterInfo>;

/** A GPU whose adapter says something else about itself; `change` may do something to its device. */
export function posing(gpu: GPU, info: Info, change = (device: GPUDevice) => device): GPU {
  return {
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = (await gpu.requestAdapter(options)) as GPUAdapter;
      return {
        ...{ info, limits: adapter.limits, features: adapter.features },
        requestDevice: async (descriptor: GPUDeviceDescriptor) => change(await adapter.requestDevice(descriptor)),
      };
    },
  } as unknown as GPU;
}

/** A GPU that never computes a product: the entry points of matmul return at once. */
export function wrong(gpu: GPU, info: Info): GPU {
  return posing(gpu, info, (device) => {
    const make = device.createShaderModule.bind(device);
    device.createShaderModule = ({ label, code }) =>
      make({
        label,
        code: label?.startsWith("matmul") ? code.replaceAll(/@compute[^{]*\{/g, "$& if (true) { return; }") : code,
      });
    return device;
  });
}
