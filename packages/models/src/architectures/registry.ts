import { QuernError } from "@quern/tensor";
import type { Architecture } from "./architecture.ts";
import type { Config } from "./config.ts";
import { bert } from "./bert.ts";
import { cohere2 } from "./cohere2.ts";
import { deepseek2, deepseek3 } from "./deepseek2.ts";
import { falcon } from "./falcon.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { glm4 } from "./glm4.ts";
import { gptOss } from "./gpt-oss.ts";
import { gpt2 } from "./gpt2.ts";
import { gptneox } from "./gptneox.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { mixtral } from "./mixtral.ts";
import { olmo2, olmo3 } from "./olmo2.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen2moe } from "./qwen2moe.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3moe } from "./qwen3moe.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder2 } from "./starcoder2.ts";
import { xlmRoberta } from "./xlm-roberta.ts";

/** Every architecture that can be described. */
export const ARCHITECTURES: readonly Architecture[] = [
  bert,
  cohere2,
  deepseek2,
  deepseek3,
  falcon,
  gemma2,
  gemma3,
  glm4,
  gptOss,
  gpt2,
  gptneox,
  granite,
  llama,
  mistral,
  mixtral,
  olmo2,
  olmo3,
  phi3,
  qwen2,
  qwen2moe,
  qwen3,
  qwen3moe,
  smollm3,
  stablelm,
  starcoder2,
  xlmRoberta,
];

const BY_CLASS: ReadonlyMap<string, Architecture> = new Map(
  ARCHITECTURES.flatMap((architecture) => architecture.classes.map((name) => [name, architecture])),
);

/** The names that `architectures` of config.json may have. */
export function supportedClasses(): string[] {
  return [...BY_CLASS.keys()].sort();
}

/**
 * The architecture of a model class.
 *
 * @throws QuernError `MODEL_CONFIG_KEY_MISSING`, `MODEL_UNSUPPORTED`
 */
export function architectureOf(config: Config): Architecture {
  const [name] = config.optionalStrings("architectures") ?? [];
  if (name === undefined) {
    throw new QuernError(
      "MODEL_CONFIG_KEY_MISSING",
      "config.json has no architectures: expected the name of a model class",
      {
        subject: { file: "config.json", key: "architectures" },
      },
    );
  }
  const architecture = BY_CLASS.get(name);
  if (architecture !== undefined) return architecture;
  throw new QuernError(
    "MODEL_UNSUPPORTED",
    `config.json: the architecture ${name} is not supported; supported are ${supportedClasses().join(", ")}`,
    { subject: { file: "config.json", key: "architectures" } },
  );
}
