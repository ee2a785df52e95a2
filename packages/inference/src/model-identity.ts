import type { ModelDescription } from "@quern/models";

/**
 * What makes models the same to whoever keeps figures of one: the architecture, and names and shapes of all tensors, in any order.
 * The same in GGUF and in a checkpoint that it was made from; types of elements do not count.
 *
 * @returns SHA-256 in hexadecimal
 */
export async function modelIdentity({
  architecture,
  tensors,
}: Pick<ModelDescription, "architecture" | "tensors">): Promise<string> {
  const lines = tensors.map(({ name, shape }) => JSON.stringify([name, withoutOnes(shape)])).sort();
  const text = new TextEncoder().encode([architecture, ...lines].join("\n"));
  const digest = await crypto.subtle.digest("SHA-256", text);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** GGUF writes no slow dimensions of 1. */
function withoutOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((size) => size !== 1);
  return first < 0 ? [1] : shape.slice(first);
}
