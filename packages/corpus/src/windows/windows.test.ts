import { QuernError } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DocumentPart, TextSource } from "../documents/document.ts";
import type { TextTokenizer } from "../tokenization/text-tokenizer.ts";
import { collectWindows, readWindows } from "./read-windows.ts";
import { hash } from "./selection.ts";
import type { TokenWindow, WindowRule } from "./window.ts";

const BOS = 1_000_000;

/** Every UTF-16 unit is a token: windows can be compared with text. */
function unitTokenizer(prefix: readonly number[] = [BOS], suffix: readonly number[] = []): TextTokenizer {
  return {
    name: "units",
    vocabularySize: BOS + 1,
    bos: prefix[0],
    eos: suffix[0],
    prefix,
    suffix,
    encode: (text) => Int32Array.from(text, (_, index) => text.charCodeAt(index)),
  };
}

function memorySource(
  documents: readonly string[],
  options: { name?: string; weight?: number; partLength?: number; chat?: boolean } = {},
): TextSource {
  const { name = "memory", weight = 1, partLength = Number.POSITIVE_INFINITY, chat = false } = options;
  return {
    name,
    weight,
    async *documents({ whole }): AsyncGenerator<DocumentPart> {
      for (const [document, text] of documents.entries()) {
        const length = whole ? text.length : Math.min(partLength, text.length);
        for (let start = 0; start < text.length; start += length) {
          const specialTokens = chat ? "parse" : "text";
          yield { text: text.slice(start, start + length), document, continues: start > 0, specialTokens };
        }
      }
    },
  };
}

const texts = fc.array(
  fc.string({ unit: fc.constantFrom("a", "b", "c", "\n"), minLength: 1, maxLength: 40 }),
  {
    minLength: 1,
    maxLength: 12,
  },
);

const textOf = (tokens: Iterable<number>): string => String.fromCharCode(...tokens);

/** The tokens of each document, put together from the windows it lies in. */
function documentsOf(windows: readonly TokenWindow[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const { tokens, sequences } of windows) {
    sequences.forEach(({ document, contentStart }, position) => {
      const end = sequences[position + 1]?.start ?? tokens.length;
      found.set(document, (found.get(document) ?? "") + textOf(tokens.subarray(contentStart, end)));
    });
  }
  return found;
}

async function windowsOf(
  source: TextSource,
  rule: WindowRule,
  tokenizer = unitTokenizer(),
): Promise<TokenWindow[]> {
  const windows: TokenWindow[] = [];
  try {
    for await (const window of readWindows({ sources: [source], tokenizer, rule })) windows.push(window);
  } catch (error) {
    // Texts that are drawn may be shorter than a window.
    if (!(error instanceof QuernError) || error.code !== "CORPUS_TOO_SHORT") throw error;
  }
  return windows;
}

describe("packed windows", () => {
  it("hold every token of every document once, in order, behind BOS", async () => {
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.integer({ min: 3, max: 17 }),
        fc.integer({ min: 0, max: 2 }),
        async (documents, length, marks) => {
          const prefix = [BOS, BOS + 1].slice(0, marks);
          const windows = await windowsOf(
            memorySource(documents),
            { kind: "packed", length },
            unitTokenizer(prefix),
          );
          expect([...documentsOf(windows)]).toEqual(documents.map((text, index) => [index, text]));
          windows.forEach(({ tokens, sequences, index }, position) => {
            expect(index).toBe(position);
            const last = position === windows.length - 1;
            expect(tokens.length).toBeGreaterThanOrEqual(last ? 1 : length);
            expect(sequences[0]!.start).toBe(0);
            for (const { start, contentStart } of sequences) {
              expect([...tokens.subarray(start, contentStart)]).toEqual(
                prefix.slice(0, contentStart - start),
              );
              const cutShort = contentStart === tokens.length;
              expect(contentStart - start).toBeGreaterThanOrEqual(cutShort ? 0 : prefix.length);
            }
          });
        },
      ),
    );
  });

  it("are the same however a document is divided into parts", async () => {
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.integer({ min: 2, max: 17 }),
        fc.integer({ min: 1, max: 9 }),
        async (documents, length, partLength) => {
          const rule = { kind: "packed", length } as const;
          const divided = await windowsOf(memorySource(documents, { partLength }), rule);
          expect(divided).toEqual(await windowsOf(memorySource(documents), rule));
        },
      ),
    );
  });

  it("put the suffix of the model after every text, and nothing after conversations", async () => {
    const rule = { kind: "packed", length: 8 } as const;
    const tokenizer = unitTokenizer([], [7]);
    const [plain] = await windowsOf(memorySource(["abc", "def"]), rule, tokenizer);
    expect([...plain!.tokens]).toEqual([97, 98, 99, 7, 100, 101, 102, 7]);
    const [chat] = await windowsOf(memorySource(["abcd", "efgh"], { chat: true }), rule, tokenizer);
    expect(textOf(chat!.tokens)).toBe("abcdefgh");
  });

  it("do not begin a conversation with BOS twice", async () => {
    const tokenizer = unitTokenizer(["a".charCodeAt(0)]);
    const [window] = await windowsOf(
      memorySource(["abc", "xyz"], { chat: true }),
      { kind: "packed", length: 7 },
      tokenizer,
    );
    expect(textOf(window!.tokens)).toBe("abcaxyz");
  });
});

describe("stream windows", () => {
  it("are consecutive, with the first token replaced by BOS and the rest dropped", async () => {
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.integer({ min: 2, max: 17 }),
        fc.boolean(),
        async (documents, length, bos) => {
          const prefix = bos ? [BOS] : [];
          const stream = documents.flatMap((text) => {
            const body = text.replace(/\n$/, "");
            return [...prefix, ...Array.from(body, (unit) => unit.charCodeAt(0))];
          });
          const expected = Array.from({ length: Math.floor(stream.length / length) }, (_, index) => {
            const window = stream.slice(index * length, (index + 1) * length);
            return bos ? [BOS, ...window.slice(1)] : window;
          });
          const windows = await windowsOf(
            memorySource(documents),
            { kind: "stream", length },
            unitTokenizer(prefix),
          );
          expect(windows.map(({ tokens }) => [...tokens])).toEqual(expected);
        },
      ),
    );
  });

  it("say where documents begin", async () => {
    const windows = await windowsOf(memorySource(["abcd", "ef"]), { kind: "stream", length: 4 });
    expect(windows.map(({ tokens, sequences }) => [[...tokens], sequences])).toEqual([
      [[BOS, 97, 98, 99], [{ document: 0, start: 0, contentStart: 1 }]],
      [
        [BOS, BOS, 101, 102],
        [
          { document: 0, start: 0, contentStart: 1 },
          { document: 1, start: 1, contentStart: 2 },
        ],
      ],
    ]);
  });
});

describe("several sources", () => {
  const rule = { kind: "packed", length: 10 } as const;
  const tokenizer = unitTokenizer([]);
  const sources = [
    memorySource(["a".repeat(5000)], { name: "a", weight: 3 }),
    memorySource(["b".repeat(5000)], { name: "b", weight: 1 }),
    memorySource(["c".repeat(5000)], { name: "c", weight: 0.5 }),
  ];

  it("have their shares in whatever is taken from the beginning", async () => {
    const { windows } = await collectWindows({ sources, tokenizer, rule, limit: 400 });
    const given = [0, 0, 0];
    windows.forEach(({ source }, position) => {
      given[source]! += 1;
      for (const [index, weight] of [3, 1, 0.5].entries()) {
        expect(Math.abs(given[index]! - ((position + 1) * weight) / 4.5)).toBeLessThan(2);
      }
    });
    expect(windows).toHaveLength(400);
  });

  it("may be shorter than a window where others are not", async () => {
    const tiny = [memorySource(["a"], { name: "tiny" }), memorySource(["b".repeat(95)], { name: "b" })];
    const { windows } = await collectWindows({ sources: tiny, tokenizer, rule, limit: 1 });
    expect(windows.map(({ tokens }) => textOf(tokens))).toEqual(["a"]);
  });

  it("go on with the others when one ends, and the summary says so", async () => {
    const uneven = [
      memorySource(["a".repeat(30)], { name: "a" }),
      memorySource(["b".repeat(95)], { name: "b" }),
    ];
    const { windows, summary } = await collectWindows({ sources: uneven, tokenizer, rule });
    expect(windows.map(({ source }) => source).join("")).toBe("0101011111111");
    expect(summary).toMatchObject({
      windows: 13,
      tokens: 125,
      sources: [
        { name: "a", windows: 3, tokens: 30, documentsRead: 1, tokensRead: 30, exhausted: true },
        { name: "b", windows: 10, tokens: 95, documentsRead: 1, tokensRead: 95, exhausted: true },
      ],
    });
  });
});

describe("selection", () => {
  const rule = { kind: "packed", length: 10 } as const;
  const tokenizer = unitTokenizer();
  const documents = Array.from({ length: 300 }, (_, index) => `document ${index} of many\n`);
  const all = { sources: [memorySource(documents)], tokenizer, rule };

  it("keeps every k-th window apart, and loses none", async () => {
    const { windows } = await collectWindows(all);
    const part = async (name: "calibration" | "hold-out"): Promise<TokenWindow[]> =>
      (await collectWindows({ ...all, holdOut: { every: 5, part: name } })).windows;
    const [calibration, heldOut] = [await part("calibration"), await part("hold-out")];
    expect(heldOut.map(({ index }) => index % 5)).toEqual(heldOut.map(() => 4));
    const together = [...calibration, ...heldOut].sort((a, b) => a.index - b.index);
    expect(together).toEqual(windows);
  });

  it("takes the same sample for the same seed, about as large as asked", async () => {
    const sample = async (seed: number): Promise<number[]> =>
      (await collectWindows({ ...all, sample: { share: 0.25, seed } })).windows.map(({ index }) => index);
    const first = await sample(1);
    expect(await sample(1)).toEqual(first);
    expect(await sample(2)).not.toEqual(first);
    const { windows } = await collectWindows(all);
    expect(first.length / windows.length).toBeGreaterThan(0.19);
    expect(first.length / windows.length).toBeLessThan(0.31);
  });

  it("draws with MurmurHash3", () => {
    // Values of the reference implementation for these bytes, seed 0.
    expect(hash([])).toBe(0);
    expect(hash([0])).toBe(0x2362f9de);
    expect(hash([0x87654321 | 0])).toBe(0xf55b516b);
  });
});

describe("the hash", () => {
  const rule = { kind: "packed", length: 10 } as const;
  const tokenizer = unitTokenizer();
  const hashOf = async (
    documents: readonly string[],
    options: { length?: number; weight?: number; partLength?: number } = {},
  ): Promise<string> => {
    const sources = [memorySource(documents, options)];
    const { summary } = await collectWindows({
      sources,
      tokenizer,
      rule: { ...rule, length: options.length ?? 10 },
    });
    return summary.hash;
  };

  it("is of the tokens and the rules", async () => {
    const documents = ["first text", "second text"];
    const first = await hashOf(documents);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf(documents, { partLength: 3 })).toBe(first);
    expect(await hashOf(["first text", "second test"])).not.toBe(first);
    expect(await hashOf(["second text", "first text"])).not.toBe(first);
    expect(await hashOf(documents, { length: 11 })).not.toBe(first);
    expect(await hashOf(documents, { weight: 2 })).not.toBe(first);
  });
});

describe("refusals", () => {
  const tokenizer = unitTokenizer();
  const rule = { kind: "packed", length: 10 } as const;
  const source = memorySource(["some text that is long enough"]);

  it.each([
    ["no sources", { sources: [] }],
    ["a weight of zero", { sources: [memorySource(["text"], { weight: 0 })] }],
    ["windows of one token", { rule: { kind: "packed", length: 1 } as const }],
    ["a limit of zero", { limit: 0 }],
    ["a hold-out of everything", { holdOut: { every: 1, part: "hold-out" } as const }],
    ["an empty sample", { sample: { share: 0, seed: 0 } }],
    ["a fractional seed", { sample: { share: 0.5, seed: 0.5 } }],
  ])("%s", (_, change) => {
    expect(() => readWindows({ sources: [source], tokenizer, rule, ...change })).toThrow(
      expect.objectContaining({ code: "CORPUS_OPTION_INVALID" }),
    );
  });

  it("a source without text", async () => {
    await expect(
      collectWindows({ sources: [source, memorySource([""], { name: "empty.txt" })], tokenizer, rule }),
    ).rejects.toMatchObject({
      code: "CORPUS_EMPTY",
      subject: { file: "empty.txt" },
    });
  });

  it.each(["packed", "stream"] as const)("less text than one %s window", async (kind) => {
    const short = memorySource(["short"], { name: "short.txt" });
    await expect(
      collectWindows({ sources: [short], tokenizer, rule: { kind, length: 10 } }),
    ).rejects.toMatchObject({
      code: "CORPUS_TOO_SHORT",
      message: "Too little text: short.txt has 5 tokens; a window takes 10.",
    });
  });

  it("a hold-out part without a window", async () => {
    const holdOut = { every: 100, part: "hold-out" } as const;
    await expect(collectWindows({ sources: [source], tokenizer, rule, holdOut })).rejects.toMatchObject({
      code: "CORPUS_TOO_SHORT",
      message: expect.stringContaining("none of the 3 windows"),
    });
  });

  it("tokens that the model has no row for", async () => {
    await expect(
      collectWindows({ sources: [source], tokenizer, rule, vocabularySize: 120 }),
    ).rejects.toMatchObject({
      code: "CORPUS_VOCABULARY_MISMATCH",
      message: expect.stringContaining("token 120 for a text of memory"),
    });
    const { windows } = await collectWindows({ sources: [source], tokenizer, rule, vocabularySize: 121 });
    expect(windows.length).toBeGreaterThan(0);
  });
});
