import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type GgufEdit, ggufString, type GgufValue } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import type { Command } from "commander";
import { sizeArgument } from "./arguments.ts";
import { addCopyOptions, type CopyOptions } from "./copy-messages.ts";
import { metadataArgument } from "./metadata-argument.ts";

/** Options that set a text of the general metadata, and their keys. */
const generalTexts = {
  name: "general.name",
  description: "general.description",
  author: "general.author",
  organization: "general.organization",
  license: "general.license",
  url: "general.url",
} as const;

type GeneralText = keyof typeof generalTexts;

/** What commander makes of the options that {@link addEditOptions} declares. */
export interface EditOptions extends CopyOptions, Readonly<Partial<Record<GeneralText, string>>> {
  readonly output?: string;
  readonly inPlace?: true;
  readonly set?: ReadonlyMap<string, GgufValue>;
  readonly remove?: readonly string[];
  readonly chatTemplate?: string;
  readonly chatTemplateName?: string;
  /** Bytes. */
  readonly reserve?: number;
  readonly restore?: true;
}

/** Declares the options of `quern edit`. */
export function addEditOptions(command: Command): Command {
  command
    .option("-o, --output <path>", "file or folder to write to")
    .option(
      "--in-place",
      "change the file itself: overwrite its header if the new one fits, else replace the file by a copy",
    )
    .option(
      "--reserve <size>",
      "space to reserve in the header of a new file for later edits in place",
      sizeArgument,
    )
    .option("--restore", "undo an interrupted edit in place")
    .optionsGroup("Metadata:")
    .option(
      "--set <key=type:value>",
      "set or replace a metadata value, for example general.name=string:Mine; repeatable",
      metadataArgument,
    )
    .option("--remove <key>", "remove a metadata key; repeatable", collect)
    .option("--chat-template <file or text>", "set the chat template, in Jinja")
    .option(
      "--chat-template-name <name>",
      "add the chat template under this name instead of replacing the default one",
    );
  for (const [option, key] of Object.entries(generalTexts)) {
    command.option(`--${option} <text>`, `set ${key}`);
  }
  return addCopyOptions(
    command.optionsGroup("Output:"),
    "replace existing output files, and allow changes that usually break a model",
  );
}

/**
 * Turns options into an edit.
 *
 * @throws QuernError `USAGE_EDIT` when nothing is to be changed, or a chat template is neither a file nor a template
 */
export async function editRequest(options: EditOptions, cwd: string): Promise<GgufEdit> {
  const set = new Map(options.set);
  for (const [option, key] of Object.entries(generalTexts) as Array<[GeneralText, string]>) {
    const text = options[option];
    if (text !== undefined) {
      set.set(key, ggufString(text));
    }
  }
  const { chatTemplate, chatTemplateName = "default", remove = [] } = options;
  if (chatTemplate === undefined && options.chatTemplateName !== undefined) {
    throw new QuernError("USAGE_EDIT", "--chat-template-name names no template: pass --chat-template, too.");
  }
  if (set.size === 0 && remove.length === 0 && chatTemplate === undefined) {
    throw new QuernError("USAGE_EDIT", "Say what to change: --set, --remove, --chat-template, --name ...");
  }
  return {
    set,
    remove,
    ...(chatTemplate === undefined
      ? {}
      : { chatTemplates: new Map([[chatTemplateName, await readTemplate(chatTemplate, cwd)]]) }),
  };
}

/** Bytes; the longest templates in use have some tens of thousands. */
const largestTemplate = 2 ** 24;

/** A template, or the name of a file with one. Jinja without any tag would say the same in every conversation. */
async function readTemplate(text: string, cwd: string): Promise<string> {
  const path = resolve(cwd, text);
  const file = await stat(path).catch(() => undefined);
  if (file?.isFile() === true && file.size <= largestTemplate) {
    return readFile(path, "utf8");
  }
  if (/\{[{%#]/.test(text)) {
    return text;
  }
  throw new QuernError("USAGE_EDIT", `--chat-template: "${text}" is neither a file nor a Jinja template.`);
}

function collect(text: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), text];
}
