// SHA-256 as lower-case hex (FIPS 180-4), by WebCrypto, which every supported host has. Fingerprints of data and weights.

export async function sha256(data: Uint8Array | string): Promise<string> {
  const given = typeof data === "string" ? new TextEncoder().encode(data) : data;
  // WebCrypto refuses views of shared memory.
  const bytes = given.buffer instanceof ArrayBuffer ? (given as Uint8Array<ArrayBuffer>) : new Uint8Array(given);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
