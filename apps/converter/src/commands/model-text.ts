import { basename, dirname, resolve } from "node:path";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import {
  type ChatTemplate,
  checkpointChatTemplate,
  checkpointTokenizer,
  ggufChatTemplate,
  ggufTokenizer,
  type TextSource,
  type TextTokenizer,
  type WeightedFile,
} from "@quern/corpus";
import { openDefaultText, openTextFiles, type OpenTextFiles } from "@quern/corpus/node";
import { describeSource, isGguf } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";

/** How a model reads text. */
export interface ModelText {
  readonly tokenizer: TextTokenizer;
  /** Absent where the model has none. */
  readonly chatTemplate?: ChatTemplate;
}

/**
 * The tokenizer and the chat template of a model.
 *
 * @param params.as "original": as the model was trained, where the original tokenizer is there. "llama.cpp": as its GGUF file is read.
 */
export async function openModelText(params: {
  readonly source: Checkpoint | GgufModel;
  readonly as: "original" | "llama.cpp";
}): Promise<ModelText> {
  const { source, as } = params;
  const { name } = source;
  if (isGguf(source)) {
    const { metadata } = source;
    const chatTemplate = ggufChatTemplate({ name, metadata });
    return { tokenizer: ggufTokenizer({ name, metadata }), ...(chatTemplate && { chatTemplate }) };
  }
  const chatTemplate = await checkpointChatTemplate(source.files);
  const original = async (): Promise<TextTokenizer> => checkpointTokenizer(source.files);
  const converted = async (): Promise<TextTokenizer> => {
    const description = await describeSource(source);
    return ggufTokenizer({ name, metadata: description.metadata({ fileType: 0 }) });
  };
  // A model may have a SentencePiece file alone, or a vocabulary that is read in its original form alone.
  const tokenizer =
    as === "original"
      ? await original().catch(unless("TOKENIZER_MISSING", converted))
      : await converted().catch(unless("TOKENIZER_UNSUPPORTED", original));
  return { tokenizer, ...(chatTemplate && { chatTemplate }) };
}

function unless<Result>(code: string, otherwise: () => Promise<Result>): (error: unknown) => Promise<Result> {
  return (error) => {
    if (error instanceof QuernError && error.code === code) return otherwise();
    throw error;
  };
}

/**
 * Opens texts, by default the bundled ones; to be closed.
 *
 * @param params.files Default: bundled texts.
 * @param params.bundled Opens these. Default: the calibration texts, without dialogues where there is no chat template.
 */
export async function openTexts(params: {
  readonly files: readonly WeightedFile[] | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly host: Host;
  readonly bundled?: () => Promise<OpenTextFiles>;
}): Promise<OpenTextFiles> {
  const { files, chatTemplate, host } = params;
  const template = chatTemplate === undefined ? {} : { chatTemplate };
  if (files === undefined) {
    const { bundled = () => openDefaultText(template) } = params;
    const { sources, close } = await bundled();
    // Where they lie is a matter of the installation, and results name their texts.
    const nameOf = ({ name }: TextSource): string => `${basename(dirname(name))}/${basename(name)}`;
    return { sources: sources.map((source) => renamed(source, nameOf(source))), close };
  }
  const paths = files.map(({ path, weight }) => ({ path: resolve(host.cwd, path), weight }));
  const { sources, close } = await openTextFiles({ files: paths, ...template });
  return { sources: sources.map((source, index) => renamed(source, files[index]!.path)), close };
}

function renamed(source: TextSource, name: string): TextSource {
  const { weight } = source;
  return {
    name,
    ...(weight === undefined ? {} : { weight }),
    documents: (options) => source.documents(options),
  };
}
