import { expect, it } from "vitest";
import { estimatePeakMemory } from "./resources.ts";

it("an estimate of memory counts threads, buffers and connections", () => {
  const least = { threads: 1, memory: 2 ** 20, slabsInFlight: 2, hessians: false, network: false };
  const estimates = [
    least,
    { ...least, memory: 16 * 2 ** 20 },
    { ...least, network: true },
    { ...least, network: true, threads: 4 },
  ].map(estimatePeakMemory);
  const beyond = estimates.map((bytes) => (bytes - estimates[0]!) / 2 ** 20);
  // Two slabs of 4 MiB instead of 0.5 MiB; what the process has anyway may grow meanwhile.
  for (const [index, expected] of [0, 7, 30, 132].entries()) {
    expect(Math.abs(beyond[index]! - expected)).toBeLessThan(4);
  }
});
