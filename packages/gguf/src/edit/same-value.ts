import type { GgufElement } from "../codec/codec.ts";
import type { GgufValue } from "../value.ts";

/** Whether two values have the same type and content. */
export function sameValue(a: GgufValue, b: GgufValue): boolean {
  if (a.type === "array" || b.type === "array") return sameElement(a as GgufElement, b as GgufElement);
  return a.type === b.type && Object.is(a.value, b.value);
}

function sameElement(a: GgufElement, b: GgufElement): boolean {
  if (typeof a !== "object" || typeof b !== "object") return Object.is(a, b);
  if (a.type !== b.type || a.elements !== b.elements || a.length !== b.length) return false;
  const others = b[Symbol.iterator]();
  for (const element of a) {
    const { value, done } = others.next();
    if (done === true || !sameElement(element, value)) return false;
  }
  return true;
}
