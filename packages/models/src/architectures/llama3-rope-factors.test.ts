import { expect, it } from "vitest";
import { Config } from "./config.ts";
import { llama3RopeFactors } from "./llama3-rope-factors.ts";

const scaling = {
  rope_type: "llama3",
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

/** The factors between 1 and 8 that PyTorch 2.13.0 computes for Llama 3.1 8B (conversion/llama.py). */
const SMOOTH = [
  1.2074838876724243, 1.5534145832061768, 2.026313066482544, 2.6945300102233887, 3.684253215789795,
  5.257327079772949,
];

it("are those of Llama 3.1 8B to the bit", () => {
  const factors = llama3RopeFactors(
    new Config({ head_dim: 128, rope_theta: 500_000, rope_scaling: scaling }),
  );
  expect(factors).toHaveLength(64);
  expect(factors?.slice(0, 29)).toEqual(Array.from({ length: 29 }, () => 1));
  expect(factors?.slice(29, 35)).toEqual(SMOOTH);
  expect(factors?.slice(35)).toEqual(Array.from({ length: 29 }, () => 8));
});

it("are read from the parameters of transformers 5, too", () => {
  const config = new Config({ head_dim: 128, rope_parameters: { ...scaling, rope_theta: 500_000 } });
  expect(llama3RopeFactors(config)?.slice(29, 35)).toEqual(SMOOTH);
});

it("are none for other kinds of scaling", () => {
  expect(llama3RopeFactors(new Config({ head_dim: 64, rope_theta: 10_000 }))).toBeUndefined();
});
