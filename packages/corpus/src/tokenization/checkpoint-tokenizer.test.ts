import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { CheckpointFileSet } from "@quern/checkpoints";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { describe, expect, it } from "vitest";
import { DEFAULT_TEXT } from "../default-text.ts";
import { checkpointChatTemplate } from "../documents/chat-template.ts";
import { checkpointTokenizer } from "./checkpoint-tokenizer.ts";
import type { TextTokenizer } from "./text-tokenizer.ts";

interface Reference {
  readonly texts: Readonly<Record<string, string>>;
  readonly files: number;
  readonly cases: Readonly<
    Record<
      string,
      {
        readonly whole: readonly number[];
        readonly tokens: Readonly<Record<string, { readonly count: number; readonly sha256: string }>>;
        readonly chat?: string;
      }
    >
  >;
}

const fixtures = new URL("../../../../fixtures/", import.meta.url);
const reference = JSON.parse(
  readFileSync(new URL("tokenized/reference.json", fixtures), "utf8"),
) as Reference;

const filesOf = async (name: string): Promise<CheckpointFileSet> =>
  (await openCheckpointDirectory(fileURLToPath(new URL(`golden/${name}/checkpoint`, fixtures)))).files;

function textNamed(name: string): string {
  const url = DEFAULT_TEXT.find(({ path }) => path === name)?.url;
  if (url === undefined) return reference.texts[name]!;
  return Array.from(readFileSync(url, "utf8")).slice(0, reference.files).join("");
}

const whole = (tokenizer: TextTokenizer, text: string): number[] => [
  ...tokenizer.prefix,
  ...tokenizer.encode(text, "parse"),
  ...tokenizer.suffix,
];

function sha256(ids: Int32Array): string {
  const bytes = Buffer.alloc(4 * ids.length);
  ids.forEach((id, index) => bytes.writeInt32LE(id, 4 * index));
  return createHash("sha256").update(bytes).digest("hex");
}

// The library has an approximation of the character maps of these two Unigram models, not the maps themselves.
const approximated = new Set(["xlm-roberta", "xlm-roberta-json"]);

describe("tokenizers of checkpoints", () => {
  const names = Object.keys(reference.cases);

  it.each(names.filter((name) => !approximated.has(name)))(
    "%s cuts text as the original does",
    async (name) => {
      const tokenizer = await checkpointTokenizer(await filesOf(name));
      const made = Object.keys(reference.cases[name]!.tokens).map((text) => {
        const ids = tokenizer.encode(textNamed(text), "parse");
        return [text, { count: ids.length, sha256: sha256(ids) }];
      });
      expect(Object.fromEntries(made)).toEqual(reference.cases[name]!.tokens);
    },
  );

  it.each(names)("%s is put between the same tokens", async (name) => {
    const tokenizer = await checkpointTokenizer(await filesOf(name));
    expect(whole(tokenizer, "a b")).toEqual(reference.cases[name]!.whole);
  });

  it.each(names.filter((name) => reference.cases[name]!.chat !== undefined))(
    "%s writes conversations as transformers does",
    async (name) => {
      const template = await checkpointChatTemplate(await filesOf(name));
      const messages = [
        { role: "user", content: "Hi there" },
        { role: "assistant", content: "Hello!" },
      ];
      expect(template!.render(messages, { file: "test", where: "test" })).toBe(reference.cases[name]!.chat);
    },
  );

  it("read special tokens as text when asked to", async () => {
    const tokenizer = await checkpointTokenizer(await filesOf("qwen3"));
    const parsed = tokenizer.encode("<|im_start|>", "parse");
    expect(parsed).toHaveLength(1);
    const read = tokenizer.encode("<|im_start|>", "text");
    expect(read.length).toBeGreaterThan(1);
    expect(read).not.toContain(parsed[0]);
    expect(Math.max(...parsed, ...read)).toBeLessThan(tokenizer.vocabularySize);
  });
});

describe("refusals", () => {
  function files(contents: Readonly<Record<string, string>>): CheckpointFileSet {
    return {
      name: "model",
      has: (path) => path in contents,
      size: (path) => contents[path]?.length,
      read: async (path) => (path in contents ? new TextEncoder().encode(contents[path]) : undefined),
      list: () => Object.keys(contents),
    };
  }

  it("of checkpoints without tokenizer.json, which name what there is instead", async () => {
    await expect(checkpointTokenizer(files({}))).rejects.toMatchObject({
      code: "TOKENIZER_MISSING",
      message: "model has no tokenizer.json.",
    });
    await expect(checkpointTokenizer(await filesOf("gemma2"))).rejects.toMatchObject({
      code: "TOKENIZER_MISSING",
      message: expect.stringContaining("It has tokenizer.model, a SentencePiece model"),
    });
  });

  it.each([
    ["{", "TOKENIZER_MALFORMED", "not valid JSON"],
    ["[]", "TOKENIZER_MALFORMED", "a JSON object, not an array"],
    ["{}", "TOKENIZER_MALFORMED", "model must be an object, not nothing"],
    [
      '{"model":{},"added_tokens":{}}',
      "TOKENIZER_MALFORMED",
      "added_tokens must be an array of objects, not an object",
    ],
    [
      '{"model":{"type":"BPE","vocab":{},"merges":[]},"normalizer":3}',
      "TOKENIZER_MALFORMED",
      "normalizer must be an object or null",
    ],
    ['{"model":{"type":"Guess","vocab":{}}}', "TOKENIZER_UNSUPPORTED", 'model.type is "Guess"'],
    [
      '{"model":{"type":"BPE","vocab":{},"merges":[]},"pre_tokenizer":{"type":"Tarot"}}',
      "TOKENIZER_UNSUPPORTED",
      "cannot be used",
    ],
  ])("of %s", async (json, code, message) => {
    await expect(checkpointTokenizer(files({ "tokenizer.json": json }))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});
