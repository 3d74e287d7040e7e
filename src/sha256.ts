// SHA-256 as lower-case hex (FIPS 180-4), by WebCrypto, which every supported host has. Fingerprints of data and weights.

export async function sha256(data: Uint8Array | string): Promise<string> {
  // The copy also serves views of shared memory, which WebCrypto refuses.
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
