import { QuernError } from "@quern/tensor";
import { expect, it } from "vitest";
import { fromPlainError, toPlainError } from "./messages.ts";

it("carries errors through structured cloning", () => {
  const cause = new Error("disk");
  const error = new QuernError("OUTPUT_DISK_FULL", "no room", { subject: { file: "a" }, cause });
  const back = fromPlainError(structuredClone(toPlainError(error)));
  expect(back).toBeInstanceOf(QuernError);
  expect(back).toMatchObject({ code: "OUTPUT_DISK_FULL", message: "no room", subject: { file: "a" } });
  expect(back.cause).toMatchObject({ message: "disk" });
});

it("calls anything else a failure of the worker", () => {
  const back = fromPlainError(structuredClone(toPlainError(new TypeError("x is no function"))));
  expect(back).toMatchObject({ code: "WORKER_FAILED", message: "A worker failed: x is no function" });
});
