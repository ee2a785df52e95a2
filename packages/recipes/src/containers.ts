import { FORMATS } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import type { QuantizationRecipe } from "./recipe.ts";

/** A family of checkpoints: what `--to` names. */
export interface Container {
  readonly name: string;
  readonly description: string;
  /** Names of the formats that layers may have in it. */
  readonly formats: readonly string[];
  /** Name of the preset that is taken when only the container is named. */
  readonly recipe: string;
}

/** Names of the formats with one of some values of `quant_method`. */
function formatsOf(...methods: readonly string[]): string[] {
  return FORMATS.filter(({ method, pack }) => methods.includes(method) && pack !== undefined).map(
    ({ name }) => name,
  );
}

/** Every container of quantized safetensors. Where a format is of several, the first is its own. */
export const CONTAINERS: readonly Container[] = [
  {
    name: "gptq",
    description: "GPTQ, for vLLM, SGLang, transformers, GPTQModel",
    formats: formatsOf("gptq"),
    recipe: "gptq-w4-g128",
  },
  {
    name: "awq",
    description: "AWQ (GEMM), for vLLM, SGLang, transformers, MLX",
    formats: formatsOf("awq"),
    recipe: "awq-w4-g128",
  },
  {
    name: "bnb",
    description: "bitsandbytes, for transformers, vLLM",
    formats: formatsOf("bitsandbytes"),
    recipe: "bnb-nf4",
  },
  {
    name: "fp8",
    description: "8-bit floats, in compressed-tensors or in blocks as DeepSeek has them",
    formats: ["float-quantized", ...formatsOf("fp8")],
    recipe: "fp8",
  },
  {
    name: "compressed-tensors",
    description: "compressed-tensors, for vLLM, SGLang, transformers",
    formats: formatsOf("compressed-tensors"),
    recipe: "w4a16",
  },
  { name: "mlx", description: "MLX, for Apple silicon", formats: formatsOf("mlx"), recipe: "mlx-q4" },
];

/** @throws QuernError `RECIPE_CONTAINER_UNKNOWN`, with the names that there are */
export function containerNamed(name: string): Container {
  const container = CONTAINERS.find((known) => known.name === name);
  if (container !== undefined) return container;
  throw new QuernError(
    "RECIPE_CONTAINER_UNKNOWN",
    `"${name}" is no container; there are ${CONTAINERS.map((known) => known.name).join(", ")}`,
  );
}

/** The container of what a recipe makes. */
export function containerOf({ name, format }: QuantizationRecipe): Container {
  const container = CONTAINERS.find(({ formats }) => formats.includes(format));
  if (container !== undefined) return container;
  throw new QuernError("RECIPE_INVALID", `recipe "${name}": ${format} is a format that cannot be written`, {
    subject: { key: "format" },
  });
}

/** @throws QuernError `RECIPE_CONTAINER` for a recipe that makes something else */
export function checkContainer(recipe: QuantizationRecipe, container: Container): void {
  if (container.formats.includes(recipe.format)) return;
  throw new QuernError(
    "RECIPE_CONTAINER",
    `recipe "${recipe.name}" makes ${containerOf(recipe).name}, not ${container.name}; leave the container out, or take ${container.recipe}`,
  );
}
