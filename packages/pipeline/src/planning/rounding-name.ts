import type { RoundingRequest } from "../plan.ts";

/** "gptq"; after transforms "awq+gptq". */
export function roundingName({ transforms = [], method }: RoundingRequest): string {
  return [...transforms, method].map(({ name }) => name).join("+");
}
