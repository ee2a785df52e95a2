import { createHash } from "node:crypto";

/** @returns SHA-256 of text (as UTF-8) or bytes: 64 hexadecimal digits in lower case */
export function sha256Of(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
