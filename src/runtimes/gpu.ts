// The GPU where a host, or a package that its user loaded, puts it by the standard.

/** navigator.gpu; undefined where there is none. */
export function ownGpu(): GPU | undefined {
  return (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
}
