import { code } from "@quern/pipeline/cards";
import type { CardOutput, GgufCardParams } from "./gguf-card.ts";

/**
 * Architectures whose GGUF files transformers makes a model of, and vLLM, which has it read their metadata, too (transformers 4.57,
 * `integrations/ggml.py`).
 */
const IN_TRANSFORMERS: ReadonlySet<string> = new Set([
  "deci",
  "falcon",
  "gemma2",
  "gemma3",
  "gpt2",
  "llama",
  "nemotron",
  "phi3",
  "qwen2",
  "qwen2moe",
  "qwen3",
  "qwen3moe",
  "stablelm",
  "starcoder2",
]);

interface Way {
  readonly program: string;
  readonly language?: string;
  readonly command: string;
}

/** How the files are run by each program that reads them. */
export function ggufUsage(params: GgufCardParams): string {
  const { repository, outputs } = params;
  const usual = mostUsual(outputs)!;
  // Ollama, transformers and vLLM read no split files.
  const whole = mostUsual(outputs.filter((output) => output.files.length === 1));
  const ways: Way[] = [
    { program: "llama.cpp", command: `llama-cli -hf ${repository}:${usual.type}` },
    {
      program: "llama.cpp, as a server with the API of OpenAI",
      command: `llama-server -hf ${repository}:${usual.type}`,
    },
    ...(whole === undefined
      ? []
      : [{ program: "Ollama", command: `ollama run hf.co/${repository}:${whole.type}` }]),
    { program: "LM Studio", command: `lms get https://huggingface.co/${repository}` },
    ...(whole === undefined || !IN_TRANSFORMERS.has(params.architecture) ? [] : inPython(params, whole)),
    {
      program: "To download one type alone",
      command: `hf download ${repository} --include "${usual.files[0]!.name.replace(SPLIT, "*.gguf")}" --local-dir .`,
    },
  ];
  return ways
    .map(({ program, language = "sh", command }) => `${program}:\n\n${code(language, command)}`)
    .join("\n\n");
}

function inPython({ repository, baseModel }: GgufCardParams, { type, files }: CardOutput): readonly Way[] {
  const file = `"${repository}", gguf_file="${files[0]!.name}"`;
  const tokenizer = baseModel === undefined ? "" : ` --tokenizer ${baseModel}`;
  const lines = [
    "from transformers import AutoModelForCausalLM, AutoTokenizer",
    "",
    `tokenizer = AutoTokenizer.from_pretrained(${baseModel === undefined ? file : `"${baseModel}"`})`,
    `model = AutoModelForCausalLM.from_pretrained(${file})`,
  ];
  return [
    {
      program: "transformers, which makes 16 or 32 bits of all weights again (`pip install gguf accelerate`)",
      language: "python",
      command: lines.join("\n"),
    },
    {
      program: "vLLM, whose support of GGUF is a plugin (`pip install vllm-gguf-plugin`)",
      command: `vllm serve ${repository}:${type}${tokenizer}`,
    },
  ];
}

const SPLIT = /-\d{5}-of-\d{5}\.gguf$/;

/** The one that is nearest to what most people take. */
function mostUsual(outputs: readonly CardOutput[]): CardOutput | undefined {
  const distance = ({ bitsPerWeight }: CardOutput): number => Math.abs(bitsPerWeight - 4.85);
  return [...outputs].sort((one, other) => distance(one) - distance(other))[0];
}
