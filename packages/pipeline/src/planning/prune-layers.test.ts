import { describe, expect, it } from "vitest";
import { pruneLayers } from "./prune-layers.ts";

function prune(names: readonly string[], layers: readonly number[]) {
  const { tensors, blocks } = pruneLayers(
    names.map((name) => ({ name, old: name })),
    layers,
  );
  return { names: tensors.map(({ name, old }) => (name === old ? name : `${old} -> ${name}`)), blocks };
}

describe("pruneLayers", () => {
  it("moves the blocks behind up, in any order of tensors", () => {
    expect(prune(["out", "blk.10.a", "blk.0.a", "blk.2.a", "blk.3.b", "blk.3.a"], [2, 2])).toEqual({
      names: ["out", "blk.10.a -> blk.2.a", "blk.0.a", "blk.3.b -> blk.1.b", "blk.3.a -> blk.1.a"],
      blocks: 3,
    });
  });

  it("treats blocks of encoder and decoder alike", () => {
    expect(prune(["dec.blk.0.a", "dec.blk.1.a", "enc.blk.1.a"], [0])).toEqual({
      names: ["dec.blk.1.a -> dec.blk.0.a", "enc.blk.1.a -> enc.blk.0.a"],
      blocks: 1,
    });
  });

  it("leaves a model alone when there is nothing to prune", () => {
    expect(prune(["blk.0.a"], [])).toEqual({ names: ["blk.0.a"], blocks: undefined });
  });

  it.each([[[3]], [[-1]], [[0.5]], [[0, 1]]])("refuses %j of 2 blocks", (layers) => {
    expect(() => prune(["blk.0.a", "blk.1.a"], layers)).toThrow(
      expect.objectContaining({ code: "RECIPE_PRUNE_LAYERS", subject: { key: "pruneLayers" } }),
    );
  });
});
