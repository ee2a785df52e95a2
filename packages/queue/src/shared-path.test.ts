import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { localPath, sharedPath, sharePath } from "./shared-path.ts";

describe("shared paths", () => {
  const segment = fc.stringMatching(/^[a-z.]{1,5}$/).filter((name) => name !== "." && name !== "..");

  it("are found below the root of every machine", () => {
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 4 }), (segments) => {
        const shared = sharePath(resolve("/here/root", ...segments), "/here/root");
        expect(sharedPath.parse(JSON.parse(JSON.stringify(shared)))).toEqual(shared);
        expect(localPath(shared, "/there")).toBe(resolve("/there", ...segments));
      }),
    );
  });

  it("are the same everywhere without a root, or outside of it", () => {
    expect(localPath(sharePath("/data/a"))).toBe("/data/a");
    expect(localPath(sharePath("/data/a", "/shared"))).toBe("/data/a");
    expect(localPath(sharePath("/rooted/a", "/shared"))).toBe("/rooted/a");
  });

  it("never leave the root of a worker", () => {
    expect(() => localPath({ absolute: "/etc/passwd" }, "/shared")).toThrow(
      expect.objectContaining({ code: "QUEUE_PATH_OUTSIDE" }),
    );
    expect(() => localPath({ absolute: "/shared/../etc/passwd" }, "/shared")).toThrow(
      expect.objectContaining({ code: "QUEUE_PATH_OUTSIDE" }),
    );
    expect(localPath({ absolute: "/shared/a" }, "/shared")).toBe("/shared/a");
    for (const belowRoot of ["../a", "a/../../b", "/a", "a\\..\\b", "a\0"]) {
      expect(sharedPath.safeParse({ belowRoot }).success).toBe(false);
    }
  });

  it("need a root where they are below one", () => {
    expect(() => localPath({ belowRoot: "a" })).toThrow(
      expect.objectContaining({ code: "QUEUE_ROOT_MISSING" }),
    );
  });
});
