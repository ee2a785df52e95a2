import type { ElementType } from "@quern/tensor";
import { TORCH_TYPES } from "../formats/bitsandbytes-4bit.ts";
import { decodeQuantState } from "../formats/quant-state.ts";
import type { QuantizationReader } from "./quantization-reader.ts";

const STATE = ".weight.quant_state.bitsandbytes__";

const ELEMENT_TYPES: ReadonlyMap<string, ElementType> = new Map(
  [...TORCH_TYPES].map(([type, name]) => [name, type]),
);

export const bitsandbytesReader: QuantizationReader = {
  method: "bitsandbytes",
  markers: [".weight.absmax", ".SCB"],
  companions: [],
  async describe(module) {
    if (module.has(".SCB")) {
      const [rows, columns] = module.need(".weight", 2).shape as [number, number];
      const tile = { rows: 1, columns: "all" } as const;
      return {
        format: "bnb-int8",
        layer: { rows, columns, parameters: { bits: 8, tile, symmetric: true, scaleType: "F32" } },
      };
    }
    const quantType = ["nf4", "fp4"].find((name) => module.has(STATE + name));
    if (quantType === undefined)
      throw module.invalid(`there is no tensor "${module.module}${STATE}nf4" or fp4`);
    module.need(STATE + quantType, 1);
    const state = decodeQuantState(await module.read(STATE + quantType));
    const weightType = ELEMENT_TYPES.get(state.dtype);
    const [rows, columns] = state.shape as [number, number];
    if (state.quantType !== quantType || weightType === undefined) {
      throw module.invalid(
        `the quant_state is of ${state.quantType}, ${state.dtype}: expected ${quantType}, a floating-point type`,
      );
    }
    const { blockSize, nested } = state;
    return {
      format: `bnb-${quantType}`,
      layer: {
        rows,
        columns,
        parameters: {
          bits: 4,
          tile: { rows: 1, columns: blockSize },
          symmetric: true,
          scaleType: "F32",
          weightType,
          ...(nested === undefined ? {} : { doubleQuantized: true, nested }),
        },
      },
    };
  },
};
