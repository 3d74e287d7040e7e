// A GPU adapter as its host tells of it, and the device that it gives: through a GPU object, which can be asked again after a loss, or
// a device that somebody else made and keeps.

import { InputError, LimbeckError } from "../errors.ts";
import { DEFAULT_LIMITS, type Limit, type Limits } from "./needs.ts";

/** What is used where an adapter has it: sums of rows without shared memory, measured times, and half precision where it is asked for. */
export const FEATURES = ["subgroups", "timestamp-query", "shader-f16"] as const;
export type Feature = (typeof FEATURES)[number];

export interface Adapter {
  /** What messages call it. */
  readonly name: string;
  /** "software": it computes on the CPU. "unknown": it does not say what it is. */
  readonly kind: "hardware" | "software" | "unknown";
  readonly limits: GPUSupportedLimits;
  readonly features: ReadonlySet<string>;
  /** Its device belongs to somebody else, who also ends it. */
  readonly borrowed: boolean;
  /** In Node the process crashes when the GPU is collected while its device is in use or owes an answer. */
  readonly keep: readonly unknown[];
  /** The device, with such limits and features as far as the adapter goes. Only once: an adapter is used up by its device. */
  readonly device: (limits?: Limits, features?: readonly Feature[]) => Promise<GPUDevice>;
}

/** What to do without a GPU: the end of each message about one that cannot be had. */
export const USE_WASM = "; use --device wasm.";

/** What an adapter says of itself; browsers leave out what they like. */
type Info = Partial<Pick<GPUAdapterInfo, "vendor" | "architecture" | "device" | "description" | "isFallbackAdapter">>;

/** SwiftShader, Mesa's and Microsoft's renderers on the CPU, and Apple's. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|swrast|\bwarp\b|basic render|software/i;

/** What it says, but for wgpu's "0" where a number is not known. */
function words({ vendor, architecture, device }: Info): string[] {
  return [vendor, architecture, device].filter((word): word is string => !!word && word !== "0");
}

export function kindOf(info: Info): Adapter["kind"] {
  const said = [...words(info), info.description ?? ""].join(" ").trim();
  if (info.isFallbackAdapter || SOFTWARE.test(said)) return "software";
  return said === "" ? "unknown" : "hardware";
}

function nameOf(info: Info): string {
  return info.description || words(info).join(" ") || "an adapter without a name";
}

/** The adapter of a GPU that is best for a wish, or the one behind a device. */
export async function findAdapter(
  source: GPU | GPUDevice,
  wish: GPURequestAdapterOptions = { powerPreference: "high-performance" },
): Promise<Adapter> {
  if ("queue" in source) {
    // Not every host tells where a device came from.
    const info: Info = source.adapterInfo ?? {};
    return {
      ...{ name: words(info).length > 0 || info.description ? nameOf(info) : "the given device", kind: kindOf(info) },
      ...{ limits: source.limits, features: source.features, borrowed: true, keep: [source] },
      device: async () => source,
    };
  }
  const adapter = await source.requestAdapter(wish);
  if (!adapter)
    throw new InputError(
      "NO_ADAPTER",
      `WebGPU finds no adapter here: there is no GPU, or no driver that it accepts${USE_WASM}`,
    );
  const { limits, features } = adapter;
  const name = nameOf(adapter.info);
  return {
    ...{ name, kind: kindOf(adapter.info), limits, features, borrowed: false, keep: [source, adapter] },
    async device(wanted = DEFAULT_LIMITS, useful = FEATURES) {
      const raised = (Object.keys(DEFAULT_LIMITS) as Limit[]).filter((limit) => wanted[limit] > DEFAULT_LIMITS[limit]);
      const requiredLimits = Object.fromEntries(
        raised.map((limit) => [limit, Math.min(wanted[limit], limits[limit] as number)]),
      );
      try {
        return await adapter.requestDevice({
          requiredLimits,
          requiredFeatures: useful.filter((name) => features.has(name)),
        });
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new LimbeckError("GPU_REFUSED", `${name} gave no device: ${message}${USE_WASM}`, { cause });
      }
    },
  };
}
