import { ggufBool, ggufFloat32, ggufString, ggufUint32, type GgufValue } from "@quern/gguf";
import type { OutputRequest } from "../recipe.ts";

/** The output that a command line of `llama-quantize` asks for; its last word is the type. */
export function requestOf(command: string): OutputRequest {
  const words = command.split(" ");
  const valuesOf = (option: string): string[] =>
    words.flatMap((word, index) => (word === option ? [words[index + 1]!] : []));
  const [outputTensorType] = valuesOf("--output-tensor-type");
  const [tokenEmbeddingType] = valuesOf("--token-embedding-type");
  const [pruneLayers] = valuesOf("--prune-layers");
  const tensorTypes = valuesOf("--tensor-type").map((rule) => {
    const [pattern, type] = rule.split("=");
    return { pattern: pattern!, type: type! };
  });
  const overrides = [...command.matchAll(/--override-kv (\S+)=(\w+):(.*?)(?= --| \S+\.gguf| \S+$)/g)];
  return {
    type: words.at(-1)!,
    ...(words.includes("--pure") ? { pure: true } : {}),
    ...(words.includes("--leave-output-tensor") ? { leaveOutputTensor: true } : {}),
    ...(words.includes("--allow-requantize") ? { allowRequantize: true } : {}),
    ...(words.includes("--keep-split") ? { keepSplit: true } : {}),
    ...(outputTensorType === undefined ? {} : { outputTensorType }),
    ...(tokenEmbeddingType === undefined ? {} : { tokenEmbeddingType }),
    ...(pruneLayers === undefined ? {} : { pruneLayers: pruneLayers.split(",").map(Number) }),
    ...(tensorTypes.length === 0 ? {} : { tensorTypes }),
    metadata: new Map(
      overrides.map(([, key, type, value]): [string, GgufValue] => [key!, OVERRIDES[type!]!(value!)]),
    ),
  };
}

/** Types that `--override-kv` knows, as they are written. */
const OVERRIDES: Readonly<Record<string, (value: string) => GgufValue>> = {
  bool: (value) => ggufBool(value === "true"),
  int: (value) => ggufUint32(Number(value)),
  float: (value) => ggufFloat32(Number(value)),
  str: (value) => ggufString(value),
};
