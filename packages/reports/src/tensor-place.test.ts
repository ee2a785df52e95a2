import { expect, it } from "vitest";
import { sortRoles, tensorPlace } from "./tensor-place.ts";

it.each([
  ["blk.3.attn_q.weight", { layer: 3, role: "attn_q" }],
  ["blk.12.ffn_down_exps.weight", { layer: 12, role: "ffn_down_exps" }],
  ["blk.0.attn_q.bias", { layer: 0, role: "attn_q.bias" }],
  ["output.weight", { role: "output" }],
  ["blk.x.attn_q.weight", { role: "blk.x.attn_q" }],
  ["blk.12345678901.attn_q.weight", { role: "blk.12345678901.attn_q" }],
])("%s", (name, place) => {
  expect(tensorPlace(name)).toEqual(place);
});

it("sorts roles as models use them, unknown ones last", () => {
  expect(sortRoles(["ffn_down", "new_b", "attn_v", "attn_q", "new_a", "attn_q"])).toEqual([
    "attn_q",
    "attn_v",
    "ffn_down",
    "new_b",
    "new_a",
  ]);
});
