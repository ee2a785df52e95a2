/**
 * The name that llama.cpp's converter gives a file: base name, size label, fine-tune, version, encoding and kind, joined
 * with hyphens (gguf-py/gguf/utility.py, `naming_convention`).
 *
 * @returns "Qwen3-0.6B-Instruct-v2-Q4_K_M.gguf"; "ggml-model.gguf" when nothing is known
 */
export function ggufFileName(params: {
  /** Takes the place of a missing `baseName`. */
  modelName?: string;
  baseName?: string;
  /** "0.6B". */
  sizeLabel?: string;
  fineTune?: string;
  /** "v1.1". */
  version?: string;
  /** Type of the tensors; written in upper case. */
  outputType?: string;
  /** Only for what is not a whole model. */
  kind?: "LoRA" | "vocab";
}): string {
  const { modelName, baseName, sizeLabel, fineTune, version, outputType, kind } = params;
  const name = baseName ?? modelName;
  const parts = [
    name === undefined ? "ggml-model" : hyphenate(name).replaceAll("/", "-"),
    sizeLabel,
    fineTune === undefined ? undefined : hyphenate(fineTune),
    version === undefined ? undefined : hyphenate(version),
    outputType === undefined ? undefined : hyphenate(outputType).toUpperCase(),
    kind,
  ];
  return `${parts.filter((part) => part !== undefined).join("-")}.gguf`;
}

function hyphenate(text: string): string {
  return text.trim().replaceAll(" ", "-");
}
