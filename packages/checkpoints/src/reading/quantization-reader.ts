import { decodeElements, QuernError, type TensorInfo } from "@quern/tensor";
import type { Layer } from "../formats/format.ts";
import type { QuantizedInputs } from "./quantized-inputs.ts";

/** Fields of config.json. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A layer as a method of quantization describes it. */
export interface DescribedLayer {
  /** Name of the format. */
  readonly format: string;
  readonly layer: Layer;
  /** Dimensions before outputs and inputs, of experts that are stacked; their product is part of `layer.rows`. @default none */
  readonly leading?: readonly number[];
  /** How its inputs are quantized when the model runs. @default not at all */
  readonly inputs?: QuantizedInputs;
}

/** How checkpoints of one `quant_method` are read. Adding one is a file here and a line in `readers.ts`. */
export interface QuantizationReader {
  /** `quant_method` of config.json; "mlx" where it has a `quantization` instead. */
  readonly method: string;
  /** What follows the name of the module in the name of a tensor that every quantized layer has. */
  readonly markers: readonly string[];
  /** What else tensors of a quantized layer may be called that say nothing about its weight. */
  readonly companions: readonly string[];
  /** What follows the name of the module in the name of its weight. @default ".weight" */
  readonly weight?: string;
  /** @throws QuernError `CHECKPOINT_QUANTIZATION_INVALID`, `CHECKPOINT_QUANTIZATION_UNKNOWN` */
  describe(module: ModuleTensors, config: JsonObject): DescribedLayer | Promise<DescribedLayer>;
}

/** The tensors of one module, by what follows its name. */
export class ModuleTensors {
  readonly module: string;
  readonly #tensors: ReadonlyMap<string, TensorInfo>;
  readonly #read: (name: string) => Promise<Uint8Array>;

  constructor(params: {
    module: string;
    tensors: ReadonlyMap<string, TensorInfo>;
    read: (name: string) => Promise<Uint8Array>;
  }) {
    this.module = params.module;
    this.#tensors = params.tensors;
    this.#read = params.read;
  }

  has(suffix: string): boolean {
    return this.#tensors.has(this.module + suffix);
  }

  /** @throws QuernError `CHECKPOINT_QUANTIZATION_INVALID` when there is none or it has another number of dimensions */
  need(suffix: string, dimensions?: number): TensorInfo {
    const tensor = this.#tensors.get(this.module + suffix);
    if (tensor === undefined) throw this.invalid(`there is no tensor "${this.module}${suffix}"`);
    if (tensor.shape.length === (dimensions ?? tensor.shape.length)) return tensor;
    throw this.invalid(
      `"${tensor.name}" has the shape [${tensor.shape.join(", ")}]: expected ${dimensions} dimensions`,
    );
  }

  /** Bytes of a small tensor. */
  async read(suffix: string): Promise<Uint8Array> {
    return this.#read(this.module + suffix);
  }

  /** Whole numbers of a small tensor. */
  async readIntegers(suffix: string, count: number): Promise<number[]> {
    const { type, shape } = this.need(suffix, 1);
    if (!type.startsWith("I") || shape[0] !== count) {
      throw this.invalid(
        `"${this.module}${suffix}" is ${type} [${shape.join(", ")}]: expected ${count} integers`,
      );
    }
    return [...decodeElements({ type, bytes: await this.read(suffix), into: new Float64Array(count) })];
  }

  /** An error about the module. */
  invalid(message: string): QuernError {
    return new QuernError("CHECKPOINT_QUANTIZATION_INVALID", `"${this.module}": ${message}`, {
      subject: { tensor: this.module },
    });
  }
}

/** An error about a way of quantization that is not known. */
export function unknownQuantization(key: string, found: unknown, expected: string): QuernError {
  return new QuernError(
    "CHECKPOINT_QUANTIZATION_UNKNOWN",
    `config.json: ${key} of the quantization is ${JSON.stringify(found)?.slice(0, 100) ?? "missing"}: expected ${expected}`,
    { subject: { file: "config.json", key } },
  );
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Bits and inputs of a group as a configuration gives them; a group of -1 is a whole row. */
export interface Grouping {
  readonly bits: number;
  readonly groupSize: number;
}

/** The first grouping of `columns` inputs that has the number of groups that there is. */
export function fittingGrouping<Known extends Grouping>(
  groupings: readonly Known[],
  params: {
    readonly columns: (bits: number) => number;
    readonly groups: number;
    readonly fits: (bits: number, columns: number) => boolean;
  },
): (Known & { readonly columns: number }) | undefined {
  for (const grouping of groupings) {
    const { bits, groupSize } = grouping;
    const columns = params.columns(bits);
    const whole =
      Number.isInteger(bits) && bits >= 1 && bits <= 8 && Number.isInteger(columns) && columns > 0;
    if (!whole || !Number.isInteger(groupSize) || !params.fits(bits, columns)) continue;
    const groups = groupSize === -1 ? 1 : Math.ceil(columns / groupSize);
    if (groups === params.groups) return { ...grouping, columns };
  }
  return undefined;
}

/** Tile of a group of inputs. */
export function groupTile(groupSize: number): Layer["parameters"]["tile"] {
  return { rows: 1, columns: groupSize === -1 ? "all" : groupSize };
}
