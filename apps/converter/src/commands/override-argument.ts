import { ggufBool, ggufFloat32, ggufString, ggufUint32, type GgufValue } from "@quern/gguf";
import { InvalidArgumentError } from "commander";

/** Most bytes of a key and of a text (llama.h, `llama_model_kv_override`). */
const LONGEST = 127;

/**
 * The kinds of values of `--override-kv`, and what `llama-quantize` writes for them (llama.cpp v0.5.0: `string_parse_kv_override` in
 * common/common.cpp, src/llama-quant.cpp). It reads what comes after a number as nothing, and writes negative ones without their
 * sign: these are refused here.
 */
const readers: Readonly<Record<string, (text: string) => GgufValue>> = {
  int(text) {
    if (!/^\d+$/.test(text) || Number(text) >= 2 ** 32) {
      throw new InvalidArgumentError(
        `"${text}" is no int: llama-quantize writes a uint32. For other numbers there is --metadata.`,
      );
    }
    return ggufUint32(Number(text));
  },
  float(text) {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(Math.fround(value))) {
      throw new InvalidArgumentError(`"${text}" is no float.`);
    }
    return ggufFloat32(value);
  },
  bool(text) {
    if (text !== "true" && text !== "false") {
      throw new InvalidArgumentError(`"${text}" is no bool: write true or false.`);
    }
    return ggufBool(text === "true");
  },
  str(text) {
    if (Buffer.byteLength(text) > LONGEST) {
      throw new InvalidArgumentError(
        `The text has more than ${LONGEST} bytes, the most that llama-quantize takes. For others there is --metadata.`,
      );
    }
    return ggufString(text);
  },
};

/** Reads `--override-kv KEY=TYPE:VALUE`. */
export function overrideArgument(text: string): readonly [key: string, value: GgufValue] {
  const match = /^([^=]+)=(\w+):(.*)$/s.exec(text);
  const [, key = "", type = "", value = ""] = match ?? [];
  if (match === null || Buffer.byteLength(key) > LONGEST) {
    throw new InvalidArgumentError("Write KEY=TYPE:VALUE, for example general.name=str:Mine.");
  }
  if (!Object.hasOwn(readers, type)) {
    throw new InvalidArgumentError(
      `There is no type "${type}"; there are ${Object.keys(readers).join(", ")}.`,
    );
  }
  return [key, readers[type]!(value)];
}
