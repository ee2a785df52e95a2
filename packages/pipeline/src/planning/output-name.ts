import { ggufFileName, type GgufMetadata } from "@quern/gguf";

/**
 * File name by the GGUF naming convention, from the metadata of the file itself.
 *
 * @param params.type Encoding, e.g. "Q4_K_M".
 */
export function outputName(params: { metadata: GgufMetadata; type: string }): string {
  const { metadata, type } = params;
  const text = <Name extends string>(name: Name, key: string): Partial<Record<Name, string>> => {
    const value = metadata.get(key);
    return value?.type === "string" ? ({ [name]: value.value } as Record<Name, string>) : {};
  };
  const name = ggufFileName({
    ...text("modelName", "general.name"),
    ...text("baseName", "general.basename"),
    ...text("sizeLabel", "general.size_label"),
    ...text("fineTune", "general.finetune"),
    ...text("version", "general.version"),
    outputType: type,
  });
  return name.replace(NOT_IN_A_NAME, "-");
}

/** Characters that no file name can have on some of the usual systems, and control characters. */
const NOT_IN_A_NAME = /[/\\:*?"<>|\p{Cc}]/gu;
