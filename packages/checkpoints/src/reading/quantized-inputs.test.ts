import type { TensorInfo } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { ModuleTensors } from "./quantization-reader.ts";
import { configuredInputs } from "./quantized-inputs.ts";

const module = "model.layers.3.mlp.up_proj";
const scale: TensorInfo = { name: `${module}.input_scale`, type: "F32", shape: [1] };

const eight = { num_bits: 8, type: "int", symmetric: true, strategy: "token", dynamic: true };

/** Of the layer, in a configuration with these groups: targets, and how inputs are quantized. */
function inputs(
  groups: readonly [targets: readonly string[], activations: unknown][],
  tensors = [scale],
): unknown {
  const own = new ModuleTensors({
    module,
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    read: async () => new Uint8Array(),
  });
  const config_groups = Object.fromEntries(
    groups.map(([targets, input_activations], index) => [`group_${index}`, { targets, input_activations }]),
  );
  return configuredInputs(own, { config_groups });
}

describe("configuredInputs", () => {
  it.each([
    [eight, { type: "I8" }],
    [{ ...eight, type: "float" }, { type: "F8_E4M3" }],
    [
      { ...eight, type: "float", strategy: "group", group_size: 128 },
      { type: "F8_E4M3", groupSize: 128 },
    ],
    [
      { ...eight, strategy: "tensor", dynamic: false },
      { type: "I8", scale: scale.name },
    ],
    [null, undefined],
    [{ ...eight, num_bits: 4 }, undefined],
    [{ ...eight, symmetric: false }, undefined],
  ])("reads %j as %j", (activations, expected) => {
    expect(inputs([[["Linear"], activations]])).toEqual(expected);
  });

  it("knows no static scale where none is stored", () => {
    expect(inputs([[["Linear"], { ...eight, dynamic: false }]], [])).toBeUndefined();
  });

  it("takes the group that names the layer, then one whose expression fits, then that of linear layers", () => {
    const float = { ...eight, type: "float" };
    expect(
      inputs([
        [["Linear"], eight],
        [[module], float],
      ]),
    ).toEqual({ type: "F8_E4M3" });
    expect(
      inputs([
        [["Linear"], eight],
        [["re:.*up_proj$"], float],
      ]),
    ).toEqual({ type: "F8_E4M3" });
    expect(
      inputs([
        [["re:.*up_proj$"], eight],
        [[module], float],
      ]),
    ).toEqual({ type: "F8_E4M3" });
    expect(
      inputs([
        [["re:.*down_proj$"], eight],
        [["re:("], eight],
      ]),
    ).toBeUndefined();
  });
});
