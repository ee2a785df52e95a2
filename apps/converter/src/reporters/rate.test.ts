import { describe, expect, it } from "vitest";
import { RateEstimator } from "./rate.ts";

describe("RateEstimator", () => {
  it("says nothing before there is something to say", () => {
    const estimator = new RateEstimator(0);
    expect(estimator.rate()).toBeUndefined();
    estimator.record(100, 50);
    expect(estimator.rate()).toBeUndefined();
    expect(estimator.millisecondsFor(1000)).toBeUndefined();
  });

  it("says nothing while nothing moves", () => {
    const estimator = new RateEstimator(0);
    estimator.record(5000, 0);
    expect(estimator.rate()).toBeUndefined();
  });

  it("gives units per second and the time left", () => {
    const estimator = new RateEstimator(1000);
    estimator.record(2000, 100);
    estimator.record(3000, 200);
    expect(estimator.rate()).toBe(100);
    expect(estimator.millisecondsFor(50)).toBe(500);
  });

  it("follows a change of pace within the window", () => {
    const estimator = new RateEstimator(0);
    for (let second = 1; second <= 60; second++) {
      estimator.record(second * 1000, second * 1000);
    }
    for (let second = 61; second <= 100; second++) {
      estimator.record(second * 1000, 60_000 + (second - 60) * 10);
    }
    expect(estimator.rate()).toBeCloseTo(10, 5);
  });

  it("keeps few samples however often it is told", () => {
    const estimator = new RateEstimator(0);
    for (let time = 1; time <= 100_000; time++) {
      estimator.record(time, time);
    }
    expect(estimator.rate()).toBeCloseTo(1000, 5);
    expect(Reflect.get(estimator, "samples").length).toBeLessThan(200);
  });
});
