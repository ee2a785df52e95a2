import { expect, it } from "vitest";
import { addSums, errorRecord } from "./error-record.ts";
import { sumsOf } from "./testing/records.ts";

it("derives shares and relative errors from sums", () => {
  const record = errorRecord({
    elements: 1000,
    squaredErrors: 4,
    squaredWeights: 400,
    weighted: { squaredErrors: 9, squaredWeights: 100 },
    hessian: { squaredErrors: 4, squaredWeights: 25 },
    largestError: 0.5,
    clipped: 20,
    vanished: 1,
    groups: 50,
  });
  expect(record).toEqual({
    squaredErrors: 4,
    squaredWeights: 400,
    relativeSquaredError: 0.01,
    relativeError: 0.1,
    snr: 20,
    largestError: 0.5,
    clipped: 20,
    clippedShare: 0.02,
    vanished: 1,
    groups: 50,
    vanishedShare: 0.02,
    output: { squaredErrors: 9, squaredWeights: 100, relativeSquaredError: 0.09, relativeError: 0.3 },
    hessian: { squaredErrors: 4, squaredWeights: 25, relativeSquaredError: 0.16, relativeError: 0.4 },
  });
});

it("has no error where zeros stay zeros, and no signal to noise where nothing is lost", () => {
  const nothing = { elements: 8, largestError: 0, clipped: 0, vanished: 0, groups: 0, squaredErrors: 0 };
  for (const squaredWeights of [0, 5]) {
    const record = errorRecord({ ...nothing, squaredWeights });
    expect(record).toMatchObject({ relativeError: 0, clippedShare: 0, vanishedShare: 0 });
    expect(record.snr).toBeUndefined();
  }
});

it("adds tensors up, and importance where all have it", () => {
  const [first, second] = [sumsOf(1, true), sumsOf(2, true)];
  expect(addSums([first, second])).toEqual({
    elements: 131_072,
    squaredErrors: first.squaredErrors + second.squaredErrors,
    squaredWeights: 27,
    weighted: { squaredErrors: 1.5, squaredWeights: 800 },
    largestError: 0.02,
    clipped: 9,
    vanished: 3,
    groups: 4096,
  });
  expect(addSums([first, sumsOf(2, false)])!.weighted).toBeUndefined();
  const hessian = { squaredErrors: 2, squaredWeights: 30 };
  expect(addSums([{ ...first, hessian }, second, { ...second, hessian }])!.hessian).toEqual({
    squaredErrors: 4,
    squaredWeights: 60,
  });
  expect(addSums([])).toBeUndefined();
});

it("adds what is counted where all have it, and what was held out", () => {
  const heldOut = { squaredErrors: 0.02, squaredWeights: 1 };
  const { elements, squaredErrors, squaredWeights } = sumsOf(2, false);
  const sums = addSums([sumsOf(1, false), { elements, squaredErrors, squaredWeights }])!;
  expect(Object.keys(errorRecord(sums))).not.toContain("clipped");
  const both = addSums([
    { ...sumsOf(1, false), heldOut },
    { ...sumsOf(2, false), heldOut: { ...heldOut, squaredErrors: 0.06 } },
  ])!;
  expect(errorRecord(both).heldOut!.relativeError).toBeCloseTo(0.2, 12);
  expect(errorRecord(both).clipped).toBe(9);
});
