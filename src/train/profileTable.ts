// The table that --profile ends with: where the time of a run went, and how near each kernel came to what the device can do.

import { type Profile, shareOfLimit } from "../executors/profile.ts";

/** Kernels with less than this share of the time are one line together. */
const LEAST = 0.005;

export function profileTable(profile: Profile): string {
  const { limits } = profile;
  const rows = profile.rows();
  const total = rows.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const small = rows.filter(({ milliseconds }) => milliseconds < LEAST * total);
  const sum = (of: "calls" | "milliseconds") => small.reduce((all, row) => all + row[of], 0);
  const head = ["kernel", "calls", "ms", "of all", "GFLOP/s", "GB/s", "of the limit"];
  const lines = rows
    .slice(0, rows.length - small.length)
    .map((row) => [
      ...[row.kernel, String(row.calls), row.milliseconds.toFixed(1), percent(row.milliseconds / total)],
      ...[row.flops > 0 ? rate(row.flops, row.milliseconds) : "", rate(row.bytes, row.milliseconds)],
      percent(shareOfLimit(row, limits)),
    ]);
  if (small.length > 0) {
    const spare = head.slice(4).map(() => "");
    const [calls, ms] = [sum("calls"), sum("milliseconds")];
    lines.push([
      `${small.length} other${small.length > 1 ? "s" : ""}`,
      String(calls),
      ms.toFixed(1),
      percent(ms / total),
      ...spare,
    ]);
  }
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const said = `Limit: ${rate(limits.flops, 1000)} GFLOP/s in registers, ${rate(limits.bytes, 1000)} GB/s copied, measured before the run.`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...lines.map(line), "", said].join("\n");
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const rate = (amount: number, milliseconds: number) => (amount / milliseconds / 1e6).toFixed(1);
