// Times each command of a GPU by itself, for a profile: a pass for each, because WebGPU takes timestamps where passes begin and end.

import type { Profile } from "./profile.ts";
import type { Command } from "./recording.ts";

const MAP_READ = 1;
const COPY_SRC = 4;
const COPY_DST = 8;
const QUERY_RESOLVE = 512;

/** WebGPU's largest set of queries, two a command. */
const MOST = 2048;

/** Encodes commands; what comes back brings their times into the profile, and is to be called once the encoder was submitted. */
export function encodeTimed(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  commands: readonly Command[],
  profile: Profile,
): () => Promise<void> {
  if (commands.length > MOST) {
    const parts = [commands.slice(0, MOST), commands.slice(MOST)].map((part) =>
      encodeTimed(device, encoder, part, profile),
    );
    return async () => {
      await Promise.all(parts.map((collect) => collect()));
    };
  }
  const count = 2 * commands.length;
  const querySet = device.createQuerySet({ type: "timestamp", count });
  commands.forEach(({ pipeline, group, grid }, i) => {
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
    const pass = encoder.beginComputePass({ timestampWrites });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...grid);
    pass.end();
  });
  const resolved = device.createBuffer({ size: 8 * count, usage: QUERY_RESOLVE | COPY_SRC });
  const staging = device.createBuffer({ size: 8 * count, usage: MAP_READ | COPY_DST });
  encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
  return async () => {
    await staging.mapAsync(MAP_READ);
    const times = new BigUint64Array(staging.getMappedRange());
    // A clock that was set back between two timestamps tells nothing.
    commands.forEach(({ entry, work }, i) => {
      profile.add(entry, Math.max(0, Number(times[2 * i + 1] - times[2 * i])) / 1e6, work);
    });
    for (const object of [querySet, resolved, staging]) object.destroy();
  };
}
