import { openStatistics } from "@quern/statistics";
import type { HessianReader } from "../conversion/measure-outputs.ts";

/** Opens a statistics file for its Hessians. */
export async function openHessianFile(
  path: string,
): Promise<{ readonly readRows: HessianReader; close(): Promise<void> }> {
  const statistics = await openStatistics(path);
  return {
    readRows: (request) => statistics.readHessianRows(request),
    close: () => statistics.close(),
  };
}
