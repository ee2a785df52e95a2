import { expect, it } from "vitest";
import { ggufChatTemplate } from "./gguf-chat-template.ts";

const metadata = new Map<string, { value?: unknown } & Partial<Iterable<unknown>>>([
  ["tokenizer.ggml.model", { value: "gpt2" }],
  ["tokenizer.ggml.tokens", { [Symbol.iterator]: () => ["a", "<s>", "</s>"][Symbol.iterator]() }],
  ["tokenizer.ggml.bos_token_id", { value: 1 }],
  ["tokenizer.ggml.eos_token_id", { value: 2 }],
]);
const place = { file: "chats.jsonl", where: "chats.jsonl, line 1" };

it("writes conversations with the template and the special tokens of a GGUF file", () => {
  const template =
    "{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content }}{{ eos_token }}{% endfor %}";
  const found = ggufChatTemplate({
    name: "model.gguf",
    metadata: new Map([...metadata, ["tokenizer.chat_template", { value: template }]]),
  });
  expect(found!.render([{ role: "user", content: "Hi" }], place)).toBe("<s>user: Hi</s>");
});

it("finds none where the file has none, and refuses one that is broken", () => {
  expect(ggufChatTemplate({ name: "model.gguf", metadata })).toBeUndefined();
  const broken = new Map([...metadata, ["tokenizer.chat_template", { value: "{% for %}" }]]);
  expect(() => ggufChatTemplate({ name: "model.gguf", metadata: broken })).toThrow(
    expect.objectContaining({ code: "CORPUS_CHAT_TEMPLATE" }),
  );
});
