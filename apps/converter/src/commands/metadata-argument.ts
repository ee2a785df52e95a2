import { type GgufScalar, type GgufScalarType, ggufScalar, type GgufValue } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { InvalidArgumentError } from "commander";

/** How the text of a value is read, by its GGUF type; undefined when it is not one. */
const readers: Readonly<Record<GgufScalarType, (text: string) => GgufScalar | undefined>> = {
  uint8: readInteger,
  int8: readInteger,
  uint16: readInteger,
  int16: readInteger,
  uint32: readInteger,
  int32: readInteger,
  uint64: readBigInteger,
  int64: readBigInteger,
  float32: (text) => readDecimal(text, Math.fround),
  float64: (text) => readDecimal(text, Number),
  bool: (text) => ({ true: true, false: false })[text],
  string: (text) => text,
};

/** Reads `--metadata KEY=TYPE:VALUE`; the option may be repeated, the last value for a key counts. */
export function metadataArgument(
  text: string,
  previous: ReadonlyMap<string, GgufValue> | undefined,
): Map<string, GgufValue> {
  const match = /^([^=]+)=(\w+):(.*)$/s.exec(text);
  if (match === null) {
    throw new InvalidArgumentError("Write KEY=TYPE:VALUE, for example general.name=string:My Model.");
  }
  const [, key, type, value] = match as unknown as [string, string, string, string];
  if (!Object.hasOwn(readers, type)) {
    throw new InvalidArgumentError(
      `There is no type "${type}"; there are ${Object.keys(readers).join(", ")}.`,
    );
  }
  return new Map(previous).set(key, readValue(type as GgufScalarType, value));
}

function readValue(type: GgufScalarType, text: string): GgufValue {
  const value = readers[type](text);
  if (value === undefined) {
    throw new InvalidArgumentError(`"${text}" is no ${type}.`);
  }
  try {
    return ggufScalar(type, value);
  } catch (error) {
    if (error instanceof QuernError) {
      throw new InvalidArgumentError(`"${text}" is no ${type}: ${error.message}`);
    }
    throw error;
  }
}

function readInteger(text: string): number | undefined {
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

function readBigInteger(text: string): bigint | undefined {
  return /^-?\d+$/.test(text) ? BigInt(text) : undefined;
}

function readDecimal(text: string, round: (value: number) => number): number | undefined {
  const value = round(Number(text));
  return text.trim() === "" || !Number.isFinite(value) ? undefined : value;
}
