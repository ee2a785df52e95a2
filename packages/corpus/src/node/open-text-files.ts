import type { ByteSource } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import type { ChatTemplate } from "../documents/chat-template.ts";
import type { TextSource } from "../documents/document.ts";
import { textSource } from "../documents/text-source.ts";
import type { WeightedFile } from "../source-list.ts";

/** Texts in files that stay open until `close`. */
export interface OpenTextFiles {
  readonly sources: readonly TextSource[];
  /** Closes all files. */
  close(): Promise<void>;
}

/**
 * Opens files of texts (see `textSource` for the formats).
 *
 * @throws QuernError `SOURCE_*`; nothing stays open then
 */
export async function openTextFiles(params: {
  files: readonly WeightedFile[];
  column?: string;
  chatTemplate?: ChatTemplate;
}): Promise<OpenTextFiles> {
  const { files, ...options } = params;
  const opened: ByteSource[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((source) => source.close()));
  };
  try {
    const sources: TextSource[] = [];
    for (const { path, weight } of files) {
      const source = await fileSource({ path });
      opened.push(source);
      sources.push(textSource({ ...options, source, weight }));
    }
    return { sources, close };
  } catch (error) {
    await close();
    throw error;
  }
}
