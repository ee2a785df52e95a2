import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openCheckpointDirectory } from "@quern/checkpoints/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEFAULT_TEXT } from "../default-text.ts";
import { checkpointChatTemplate } from "../documents/chat-template.ts";
import { checkpointTokenizer } from "../tokenization/checkpoint-tokenizer.ts";
import { collectWindows } from "../windows/read-windows.ts";
import { openDefaultText } from "./open-default-text.ts";
import { openTextFiles } from "./open-text-files.ts";

const demo = fileURLToPath(new URL("../../../../examples/quern-demo", import.meta.url));

describe("the default text", () => {
  it("is windows of all its files for the demo model, the same every time", async () => {
    const { files } = await openCheckpointDirectory(demo);
    const tokenizer = await checkpointTokenizer(files);
    const chatTemplate = await checkpointChatTemplate(files);
    const collect = async () => {
      const text = await openDefaultText({ chatTemplate: chatTemplate! });
      const rule = { kind: "packed", length: 512 } as const;
      const collected = await collectWindows({
        sources: text.sources,
        tokenizer,
        rule,
        vocabularySize: 2048,
      });
      await text.close();
      return collected;
    };
    const { windows, summary } = await collect();
    expect(summary.sources.map(({ name }) => name.replace(/.*[\\/]/, ""))).toEqual(
      DEFAULT_TEXT.map(({ path }) => path),
    );
    for (const source of summary.sources) {
      expect(source.exhausted).toBe(true);
      expect(source.tokens).toBeGreaterThan(4000);
    }
    expect(summary.tokens).toBeGreaterThan(100_000);
    expect((await collect()).summary).toEqual(summary);

    const decoder = new Map(
      Object.entries(
        (
          JSON.parse(readFileSync(join(demo, "tokenizer.json"), "utf8")) as {
            model: { vocab: Record<string, number> };
          }
        ).model.vocab,
      ).map(([text, id]) => [id, text]),
    );
    const chat = windows.find(({ source }) => DEFAULT_TEXT[source]!.path === "dialogue.jsonl")!;
    expect([...chat.tokens].map((id) => decoder.get(id) ?? "*").join("")).toContain("sourdough");
  });

  it("leaves its dialogues out for models without a chat template", async () => {
    const text = await openDefaultText();
    await text.close();
    expect(text.sources).toHaveLength(DEFAULT_TEXT.length - 1);
  });
});

describe("text files", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-corpus-"));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it("are read with their weights", async () => {
    const [text, lines] = [join(folder, "a.txt"), join(folder, "b.jsonl")];
    await writeFile(text, "plain");
    await writeFile(lines, '{"story":"one"}\n{"story":"two"}\n');
    const opened = await openTextFiles({
      files: [
        { path: text, weight: 2 },
        { path: lines, weight: 1 },
      ],
      column: "story",
    });
    const read: string[] = [];
    for (const source of opened.sources) {
      for await (const part of source.documents({ whole: false })) read.push(`${source.weight} ${part.text}`);
    }
    expect(read).toEqual(["2 plain", "1 one", "1 two"]);
    await opened.close();
  });

  it("must be there", async () => {
    const files = [{ path: join(folder, "none.txt"), weight: 1 }];
    await expect(openTextFiles({ files })).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  });
});
