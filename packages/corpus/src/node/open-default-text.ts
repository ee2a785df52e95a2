import { fileURLToPath } from "node:url";
import { DEFAULT_TEXT } from "../default-text.ts";
import type { ChatTemplate } from "../documents/chat-template.ts";
import { openTextFiles } from "./open-text-files.ts";
import type { OpenTextFiles } from "./open-text-files.ts";

/**
 * Opens the default calibration text.
 *
 * @param params.chatTemplate Writes its dialogues; without one they are left out.
 * @throws QuernError `SOURCE_*`
 */
export async function openDefaultText(params: { chatTemplate?: ChatTemplate } = {}): Promise<OpenTextFiles> {
  const { chatTemplate } = params;
  const files = DEFAULT_TEXT.filter(({ path }) => chatTemplate !== undefined || !path.endsWith(".jsonl"));
  return openTextFiles({
    files: files.map(({ url, weight }) => ({ path: fileURLToPath(url), weight })),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  });
}
