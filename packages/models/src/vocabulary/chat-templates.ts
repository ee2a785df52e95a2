import { ggufArray, ggufString } from "@quern/gguf";
import type { GgufMetadata } from "@quern/gguf";
import { isJsonObject, readJsonObject, readText } from "../json-file.ts";
import { TOKENIZER_CONFIG, malformedTokenizer } from "./tokenizer-files.ts";
import type { TokenizerFiles } from "./tokenizer-files.ts";

const JINJA_FILE = "chat_template.jinja";
const ADDITIONAL_FOLDER = "additional_chat_templates";

/** A chat template; the one without a name, or named "default", is used unless another is asked for. */
interface ChatTemplate {
  readonly name: string;
  readonly template: string;
}

/**
 * The keys of the chat templates: `tokenizer.chat_template`, and for further ones `tokenizer.chat_template.NAME` and the list
 * `tokenizer.chat_templates` (gguf_writer.py `add_chat_template`; there the list is in the order of a set, which changes from run to
 * run, here it is sorted).
 *
 * `chat_template` in tokenizer_config.json counts first (even null, which means that there is none), then chat_template.jinja with the
 * templates in additional_chat_templates/, then chat_template.json. Without a tokenizer_config.json none is read.
 *
 * @throws QuernError `TOKENIZER_MALFORMED`, and the codes of reading a file
 */
export async function chatTemplateMetadata(files: TokenizerFiles): Promise<GgufMetadata> {
  const metadata: GgufMetadata = new Map();
  const named = new Set<string>();
  let main = "";
  for (const { name, template } of await readTemplates(files)) {
    if (name === "default") main = template;
    else if (name !== "" && template !== "") {
      named.add(name);
      metadata.set(`tokenizer.chat_template.${name}`, ggufString(template));
    }
  }
  if (named.size > 0) metadata.set("tokenizer.chat_templates", ggufArray("string", [...named].sort()));
  if (main !== "") metadata.set("tokenizer.chat_template", ggufString(main));
  return metadata;
}

async function readTemplates(files: TokenizerFiles): Promise<ChatTemplate[]> {
  const { checkpoint, tokenizerConfig } = files;
  if (tokenizerConfig === undefined || Object.keys(tokenizerConfig).length === 0) return [];
  if ("chat_template" in tokenizerConfig) {
    return templatesOf(tokenizerConfig["chat_template"], TOKENIZER_CONFIG);
  }
  const main = await readText(checkpoint, JINJA_FILE);
  if (main !== undefined) {
    const templates = [{ name: "default", template: main }];
    for (const file of [...checkpoint.list(ADDITIONAL_FOLDER)].sort()) {
      if (!file.endsWith(".jinja")) continue;
      const template = await readText(checkpoint, `${ADDITIONAL_FOLDER}/${file}`);
      templates.push({ name: plainName(file.slice(0, -".jinja".length)), template: template ?? "" });
    }
    return templates;
  }
  const json = await readJsonObject(checkpoint, "chat_template.json");
  return templatesOf(json?.["chat_template"], "chat_template.json");
}

/** A template is a string, a list of named ones, or (in a type that nothing reads) nothing. */
function templatesOf(value: unknown, file: string): ChatTemplate[] {
  if (typeof value === "string") return [{ name: "default", template: value }];
  if (!Array.isArray(value)) return [];
  return value.map((choice: unknown, index) => {
    const { name = "", template } = isJsonObject(choice) ? choice : {};
    const text = template ?? "";
    if (typeof name === "string" && typeof text === "string")
      return { name: plainName(name), template: text };
    throw malformedTokenizer(
      { file, key: `chat_template[${index}]` },
      "an object with the strings `name` and `template`",
    );
  });
}

/** The name becomes part of a key. */
function plainName(name: string): string {
  return Array.from(name, (character) => (/[A-Za-z0-9]/.test(character) ? character : "_")).join("");
}
