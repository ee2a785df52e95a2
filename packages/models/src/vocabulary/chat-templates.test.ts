import { describe, expect, it } from "vitest";
import type { Contents } from "../testing/memory-checkpoint.ts";
import { bpe, errorOf, value, vocabulary } from "../testing/tiny-tokenizers.ts";

/** All that is written about templates, in order. */
async function templates(contents: Contents): Promise<Record<string, unknown>> {
  const metadata = await vocabulary({ "tokenizer.json": bpe, ...contents });
  const keys = [...metadata.keys()].filter((key) => key.startsWith("tokenizer.chat_template"));
  return Object.fromEntries(keys.map((key) => [key, value(metadata, key.slice("tokenizer.".length))]));
}

describe("chat templates", () => {
  const config = { bos_token: "<s>" };

  it.each<[string, Contents, Contents]>([
    ["a string", { "tokenizer_config.json": { chat_template: "T" } }, { "tokenizer.chat_template": "T" }],
    [
      "a file",
      { "tokenizer_config.json": config, "chat_template.jinja": "J\n" },
      { "tokenizer.chat_template": "J\n" },
    ],
    [
      "a JSON file",
      { "tokenizer_config.json": config, "chat_template.json": { chat_template: "C" } },
      { "tokenizer.chat_template": "C" },
    ],
    [
      "the string before the file",
      { "tokenizer_config.json": { chat_template: "T" }, "chat_template.jinja": "J" },
      { "tokenizer.chat_template": "T" },
    ],
    [
      "nothing, said so",
      { "tokenizer_config.json": { chat_template: null }, "chat_template.jinja": "J" },
      {},
    ],
    ["nothing without a tokenizer_config.json", { "chat_template.jinja": "J" }, {}],
    ["nothing of a type that none reads", { "tokenizer_config.json": { chat_template: { a: 1 } } }, {}],
    [
      "several with names",
      {
        "tokenizer_config.json": {
          chat_template: [
            { name: "tool use!", template: "U" },
            { name: "default", template: "D" },
            { name: "rag", template: "R" },
            { name: "empty", template: null },
          ],
        },
      },
      {
        "tokenizer.chat_template.tool_use_": "U",
        "tokenizer.chat_template.rag": "R",
        "tokenizer.chat_templates": ["rag", "tool_use_"],
        "tokenizer.chat_template": "D",
      },
    ],
    [
      "several files",
      {
        "tokenizer_config.json": config,
        "chat_template.jinja": "J",
        "additional_chat_templates/tool_use.jinja": "U",
        "additional_chat_templates/rag.jinja": "R",
        "additional_chat_templates/notes.txt": "N",
      },
      {
        "tokenizer.chat_template.rag": "R",
        "tokenizer.chat_template.tool_use": "U",
        "tokenizer.chat_templates": ["rag", "tool_use"],
        "tokenizer.chat_template": "J",
      },
    ],
  ])("are %s", async (_, contents, expected) => {
    const found = await templates(contents);
    expect(found).toEqual(expected);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
  });

  it("have names and texts that are strings", async () => {
    const error = await errorOf(
      vocabulary({
        "tokenizer.json": bpe,
        "tokenizer_config.json": { chat_template: [{ name: "x", template: 5 }] },
      }),
    );
    expect([error.code, error.subject.key]).toEqual(["TOKENIZER_MALFORMED", "chat_template[0]"]);
  });
});
