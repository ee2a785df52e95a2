import { brotliCompressSync, gzipSync } from "node:zlib";
import { bytesSource } from "@quern/tensor";
import fc from "fast-check";
import type { CompressionCodec } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { chatTemplate } from "./chat-template.ts";
import type { DocumentPart } from "./document.ts";
import { textSource } from "./text-source.ts";
import type { TextFile } from "./text-source.ts";

const encoder = new TextEncoder();

const chatml = chatTemplate({
  template:
    "{% for message in messages %}{% if message.role not in ['system', 'user', 'assistant', 'tool'] %}{{ raise_exception('unknown role') }}{% endif %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}{% endfor %}",
  variables: { eos_token: "</s>" },
});

async function partsOf(
  name: string,
  content: string | Uint8Array,
  options: Omit<TextFile, "source"> & { whole?: boolean } = {},
): Promise<DocumentPart[]> {
  const { whole = false, ...others } = options;
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  const parts: DocumentPart[] = [];
  const source = textSource({ source: bytesSource({ bytes, name }), ...others });
  for await (const part of source.documents({ whole })) parts.push(part);
  return parts;
}

const textsOf = async (...params: Parameters<typeof partsOf>): Promise<string[]> =>
  (await partsOf(...params)).map(({ text }) => text);

describe("plain text", () => {
  it("is the same whatever is read at once, with characters that lie across reads", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        async (text, readSize) => {
          const parts = await partsOf("a.txt", text, { readSize });
          expect(parts).toEqual(await partsOf("a.txt", text));
          expect(parts.map((part) => part.text).join("")).toBe(text.replace(/^\ufeff/, ""));
        },
      ),
    );
  });

  it("is divided at the ends of lines, wherever reads end", async () => {
    const text = Array.from({ length: 9000 }, (_, line) => `Zeile ${line} mit Ümläuten und 漢字 😀`).join(
      "\n",
    );
    const parts = await partsOf("a.txt", text);
    expect(parts.length).toBeGreaterThan(5);
    for (const part of parts.slice(0, -1)) expect(part.text).toMatch(/\n$/);
    expect(parts.map(({ continues }) => continues)).toEqual(parts.map((_, index) => index > 0));
    for (const readSize of [1000, 4099, 65_536])
      expect(await partsOf("a.txt", text, { readSize })).toEqual(parts);
    expect(await textsOf("a.txt", text, { whole: true, readSize: 1000 })).toEqual([text]);
  });

  it("is divided without line ends, but not within a character", async () => {
    const text = `x${"😀".repeat(100_000)}`;
    const parts = await textsOf("a.txt", text);
    expect(parts.join("")).toBe(text);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) expect(new TextDecoder().decode(encoder.encode(part))).toBe(part);
    expect(await textsOf("a.txt", text, { readSize: 333 })).toEqual(parts);
  });

  it("leaves a byte order mark out", async () => {
    expect(await textsOf("a.txt", "\ufefftext")).toEqual(["text"]);
  });

  it("must be UTF-8", async () => {
    await expect(partsOf("latin1.txt", Uint8Array.of(0x61, 0xe9, 0x61))).rejects.toMatchObject({
      code: "CORPUS_NOT_UTF8",
      subject: { file: "latin1.txt", offset: 0 },
    });
    await expect(partsOf("cut.txt", Uint8Array.of(0x61, 0xc3))).rejects.toMatchObject({
      code: "CORPUS_NOT_UTF8",
    });
  });
});

describe("JSON Lines", () => {
  it("gives a document for each line, whatever is read at once", async () => {
    const content = '{"text":"eins ü"}\r\n\n{"id":1,"text":"zwei\\n😀"}\n{"text":""}\n{"content":"drei"}';
    const parts = await partsOf("a.jsonl", content);
    expect(parts.map(({ text, document }) => [document, text])).toEqual([
      [0, "eins ü"],
      [1, "zwei\n😀"],
      [2, ""],
      [3, "drei"],
    ]);
    for (const readSize of [1, 2, 3, 7, 50])
      expect(await partsOf("a.jsonl", content, { readSize })).toEqual(parts);
  });

  it("takes a column by name", async () => {
    expect(await textsOf("a.jsonl", '{"text":"no","story":"yes"}', { column: "story" })).toEqual(["yes"]);
  });

  it.each([
    ["broken JSON", '{"text":"a"}\n\n{"text":', "CORPUS_JSON_MALFORMED", "a.jsonl, line 3: not valid JSON"],
    ["an array", "[1]", "CORPUS_JSON_MALFORMED", "line 1: a JSON object is expected, not an array"],
    [
      "no usable column",
      '{"text":"a"}\n{"body":"b","id":1}',
      "CORPUS_NO_COLUMN",
      'line 2: there is no "text", "content"',
    ],
    ["a number for text", '{"text":5}', "CORPUS_COLUMN_TYPE", '"text" must be text, not a number'],
    [
      "text for messages",
      '{"messages":{}}',
      "CORPUS_COLUMN_TYPE",
      "text or a list of messages, not an object",
    ],
    ["messages without a template", '{"messages":[]}', "CORPUS_NO_CHAT_TEMPLATE", "no chat template"],
  ])("refuses %s", async (_, content, code, message) => {
    await expect(partsOf("a.jsonl", content)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});

describe("conversations", () => {
  const chat = (record: unknown): Promise<DocumentPart[]> =>
    partsOf("chat.jsonl", JSON.stringify(record), { chatTemplate: chatml });

  it("are written by the template, whose special tokens count", async () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: [
          { type: "text", text: "Hel" },
          { type: "text", text: "lo" },
        ],
      },
    ];
    expect(await chat({ messages })).toEqual([
      {
        text: "<|system|>Be brief.</s><|user|>Hi</s><|assistant|>Hello</s>",
        specialTokens: "parse",
        document: 0,
        continues: false,
      },
    ]);
  });

  it("are read in the spelling of ShareGPT", async () => {
    const conversations = [
      { from: "human", value: "Hi" },
      { from: "gpt", value: "Hello" },
      { from: "function", value: "{}" },
    ];
    const [part] = await chat({ conversations });
    expect(part!.text).toBe("<|user|>Hi</s><|assistant|>Hello</s><|tool|>{}</s>");
  });

  it.each([
    [
      "a message without a role",
      [{ role: "user", content: "a" }, { content: "b" }],
      "CORPUS_CHAT_MALFORMED",
      'message 1 of "messages" has no "role"',
    ],
    ["a message without content", [{ role: "user" }], "CORPUS_CHAT_MALFORMED", "message 0"],
    [
      "a message that is text",
      ["hello"],
      "CORPUS_CHAT_MALFORMED",
      'message 0 of "messages" must be an object, not a string',
    ],
    ["a picture", [{ role: "user", content: [{ type: "image" }] }], "CORPUS_CHAT_MALFORMED", "has no text"],
    [
      "what the template refuses",
      [
        { role: "user", content: "a" },
        { role: "narrator", content: "b" },
        { role: "user", content: "c" },
      ],
      "CORPUS_CHAT_TEMPLATE",
      'chat.jsonl, line 1: the chat template fails at message 1 (role "narrator"): unknown role',
    ],
  ])("refuse %s", async (_, messages, code, message) => {
    await expect(chat({ messages })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it("need a template that can be parsed", () => {
    expect(() => chatTemplate({ template: "{% if %}" })).toThrow(
      expect.objectContaining({ code: "CORPUS_CHAT_TEMPLATE" }),
    );
  });
});

/** A frame with raw blocks (RFC 8878): there is no compressor for zstd here. */
function zstdStored(bytes: Uint8Array): Uint8Array {
  const blocks: number[] = [];
  const blockSize = 1 << 17;
  for (let start = 0; start < bytes.length; start += blockSize) {
    const block = bytes.subarray(start, start + blockSize);
    const header = (block.length << 3) | (start + blockSize >= bytes.length ? 1 : 0);
    blocks.push(header & 0xff, (header >> 8) & 0xff, header >> 16, ...block);
  }
  const size = new Uint8Array(Uint32Array.of(bytes.length).buffer);
  return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, ...size, ...blocks]);
}

describe("Parquet", () => {
  const texts = Array.from({ length: 1000 }, (_, row) => `Row ${row}: ${"näh 漢 ".repeat(row % 7)}`);

  function write(
    data: readonly unknown[],
    options: { name?: string; codec?: CompressionCodec; type?: "STRING" | "INT32" | "JSON" } = {},
  ): Uint8Array {
    const { name = "text", codec = "SNAPPY", type = "STRING" } = options;
    const id = { name: "id", data: data.map((_, row) => row), type: "INT32" as const };
    return new Uint8Array(
      parquetWriteBuffer({
        columnData: [id, { name, data: [...data], type }],
        codec,
        compressors: {
          GZIP: (bytes) => new Uint8Array(gzipSync(bytes)),
          BROTLI: (bytes) => new Uint8Array(brotliCompressSync(bytes)),
          ZSTD: zstdStored,
        },
        rowGroupSize: 300,
      }),
    );
  }

  it.each(["UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD"] as const)(
    "gives a document for each row (%s)",
    async (codec) => {
      const parts = await partsOf("a.parquet", write(texts, { codec }));
      expect(parts.map(({ text }) => text)).toEqual(texts);
      expect(parts.map(({ document }) => document)).toEqual(texts.map((_, row) => row));
    },
  );

  it("has conversations, too", async () => {
    const rows = [
      [
        { from: "human", value: "Hi" },
        { from: "gpt", value: "Hello" },
      ],
    ];
    const file = write(rows, { name: "conversations", type: "JSON" });
    expect(await textsOf("a.parquet", file, { chatTemplate: chatml })).toEqual([
      "<|user|>Hi</s><|assistant|>Hello</s>",
    ]);
  });

  it("refuses what it cannot use", async () => {
    const refusal = async (content: Uint8Array): Promise<unknown> =>
      partsOf("a.parquet", content).then(
        () => "read",
        (error: unknown) => error,
      );
    expect(await refusal(write(texts, { name: "body" }))).toMatchObject({
      code: "CORPUS_NO_COLUMN",
      message: expect.stringContaining('there is "id", "body"'),
    });
    expect(await refusal(write([1, 2], { type: "INT32" }))).toMatchObject({
      code: "CORPUS_COLUMN_TYPE",
      message: expect.stringContaining("row 0"),
    });
    const file = write(texts);
    const damaged = Uint8Array.from(file);
    damaged.fill(0xff, 4, file.length / 2);
    for (const broken of [new Uint8Array(4), file.subarray(0, -1), file.subarray(file.length - 9), damaged]) {
      expect(await refusal(broken)).toMatchObject({ code: "CORPUS_PARQUET_MALFORMED" });
    }
  });
});
