import { Template } from "@huggingface/jinja";
import type { CheckpointFileSet } from "@quern/checkpoints";
import { QuernError } from "@quern/tensor";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import {
  TOKENIZER_CONFIG,
  readJsonFile,
  readTextFile,
  tokenContent,
} from "../tokenization/checkpoint-files.ts";
import type { ChatMessage } from "./chat-messages.ts";
import type { RecordPlace } from "./record-reader.ts";

/** Writes conversations as a model was trained to read them. */
export interface ChatTemplate {
  /** @throws QuernError `CORPUS_CHAT_TEMPLATE` when the template refuses a conversation, with the index of the message */
  render(messages: readonly ChatMessage[], place: RecordPlace): string;
}

/**
 * A chat template in the Jinja language.
 *
 * @param params.variables What the template may name: `bos_token`, `eos_token`, ...
 * @throws QuernError `CORPUS_CHAT_TEMPLATE` for a template that cannot be parsed
 */
export function chatTemplate(params: { template: string; variables?: JsonObject }): ChatTemplate {
  const { variables = {} } = params;
  let template: Template;
  try {
    template = new Template(params.template);
  } catch (cause) {
    throw new QuernError(
      "CORPUS_CHAT_TEMPLATE",
      `The chat template cannot be parsed: ${(cause as Error).message}`,
      { cause },
    );
  }
  const render = (messages: readonly ChatMessage[]): string =>
    template.render({ ...variables, messages, add_generation_prompt: false });
  return {
    render(messages, place) {
      try {
        return render(messages);
      } catch (cause) {
        const index = failingMessage(messages, render);
        const which = index === undefined ? "" : ` at message ${index} (role "${messages[index]!.role}")`;
        throw new QuernError(
          "CORPUS_CHAT_TEMPLATE",
          `${place.where}: the chat template fails${which}: ${(cause as Error).message}`,
          { subject: { file: place.file }, cause },
        );
      }
    },
  };
}

/** The first message without which the conversation can be written. Templates do not say where they fail. */
function failingMessage(
  messages: readonly ChatMessage[],
  render: (messages: readonly ChatMessage[]) => string,
): number | undefined {
  for (let count = messages.length - 1; count > 0; count--) {
    try {
      render(messages.slice(0, count));
      return count;
    } catch {
      // An earlier message is to blame.
    }
  }
  return messages.length > 0 ? 0 : undefined;
}

/** Tokens that templates name. */
const TOKEN_VARIABLES = ["bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token"];

/**
 * The chat template of a checkpoint: chat_template.jinja, otherwise `chat_template` of tokenizer_config.json (of several, "default").
 *
 * @returns undefined when the model has none
 * @throws QuernError `CORPUS_CHAT_TEMPLATE`, `TOKENIZER_MALFORMED`, `CHECKPOINT_*`, `SOURCE_*`
 */
export async function checkpointChatTemplate(files: CheckpointFileSet): Promise<ChatTemplate | undefined> {
  const config = (await readJsonFile(files, TOKENIZER_CONFIG)) ?? {};
  const template = (await readTextFile(files, "chat_template.jinja")) ?? configured(config["chat_template"]);
  if (template === undefined) return undefined;
  const variables: Record<string, unknown> = {};
  for (const name of TOKEN_VARIABLES) {
    const content = tokenContent(config[name]);
    if (content !== undefined) variables[name] = content;
  }
  return chatTemplate({ template, variables });
}

function configured(entry: unknown): string | undefined {
  if (typeof entry === "string") return entry;
  if (!Array.isArray(entry)) return undefined;
  const templates = entry.filter(isJsonObject);
  const chosen = templates.find(({ name }) => name === "default") ?? templates[0];
  return typeof chosen?.["template"] === "string" ? chosen["template"] : undefined;
}
