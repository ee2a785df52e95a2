import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { checkpointCard } from "./checkpoint-card.ts";
import { ggufCard, type GgufCardParams } from "./gguf-card.ts";
import { measuredFigures } from "./measured.ts";
import { type Card, dividedCard, markedSection, mergeCard } from "./merge-card.ts";

const ours: Card = { metadata: { license: "mit", tags: ["gguf"] }, body: "# Ours" };

function metadataOf(card: string): unknown {
  return parse(dividedCard(card).matter ?? "");
}

describe("merging cards", () => {
  it("is the same done twice", () => {
    for (const existing of [undefined, "", "# Theirs\n", "---\nlicense: x\n---\n# Theirs\n", "---\n---\n"]) {
      const once = mergeCard(existing, ours);
      expect(mergeCard(once, ours)).toBe(once);
      expect(markedSection(once).trim()).toBe("# Ours");
    }
  });

  it("replaces what stands between the marks, and nothing else", () => {
    const first = mergeCard("# Theirs\n", ours);
    const more = first.replace("# Theirs", "# Theirs\n\nMore") + "\nBehind\n";
    const merged = mergeCard(more, { ...ours, body: "# New" });
    expect(merged).toContain("# Theirs\n\nMore\n\n<!-- quern:begin -->\n# New\n<!-- quern:end -->\n\nBehind");
    expect(merged).not.toContain("# Ours");
  });

  it("keeps values of front matter, whatever ends its lines", () => {
    const merged = mergeCard("---\r\nlicense: x\r\ntags: [a]\r\n---\r\n# Theirs\r\n", ours);
    expect(metadataOf(merged)).toEqual({ license: "x", tags: ["a", "gguf"] });
    const none = mergeCard("---\n---\n# Theirs\n", ours);
    expect(metadataOf(none)).toEqual({ license: "mit", tags: ["gguf"] });
  });

  it.each(["---\na: [\n---\n", "---\n- list\n---\n"])("refuses %j", (existing) => {
    expect(() => mergeCard(existing, ours)).toThrow(
      expect.objectContaining({ code: "PUBLISH_CARD_MALFORMED" }),
    );
  });
});

function params(more: Partial<GgufCardParams> = {}): GgufCardParams {
  return {
    repository: "me/M-GGUF",
    baseModel: undefined,
    commit: undefined,
    architecture: "llama",
    name: "M",
    sourceCard: undefined,
    task: undefined,
    quantizedBy: undefined,
    tool: "quern 1.0.0",
    outputs: [output("Q8_0", 8.5)],
    importance: undefined,
    settings: [],
    measurement: undefined,
    earlier: "",
    files: new Set(),
    ...more,
  };
}

function output(type: string, bitsPerWeight: number, parts = 1): GgufCardParams["outputs"][0] {
  const files = Array.from({ length: parts }, (_, part) => ({ name: `M-${type}-${part}.gguf`, bytes: 2e9 }));
  return { type, bitsPerWeight, files, figures: {} };
}

describe("cards of GGUF files", () => {
  it("say nothing of a base model that is not known", () => {
    const { metadata, body } = ggufCard(params());
    expect(metadata).toEqual({ library_name: "gguf", tags: ["gguf", "quantized"] });
    expect(body).toContain("| Source | M |");
  });

  it("leave relative links out where they would lead nowhere", () => {
    const sourceCard = "---\nlicense: other\nlicense_link: LICENSE\n---\n";
    expect(ggufCard(params({ sourceCard })).metadata).toMatchObject({ license: "other" });
    expect(ggufCard(params({ sourceCard })).metadata).not.toHaveProperty("license_link");
    const linked = params({ sourceCard: sourceCard.replace("LICENSE", "https://x.y/z") });
    expect(ggufCard(linked).metadata).toMatchObject({ license_link: "https://x.y/z" });
  });

  it("keep tags and task of the source, but for what names its container", () => {
    const sourceCard = "---\ntags: [chat, safetensors, gptq]\npipeline_tag: image-text-to-text\n---\n";
    expect(ggufCard(params({ sourceCard, task: "text-generation" })).metadata).toEqual({
      library_name: "gguf",
      pipeline_tag: "text-generation",
      tags: ["gguf", "quantized", "chat"],
    });
    const { metadata } = ggufCard(params({ sourceCard: "---\npipeline_tag: translation\n---\n" }));
    expect(metadata).toMatchObject({ pipeline_tag: "translation" });
    expect(ggufCard(params({ task: "text-generation" })).metadata).toMatchObject({
      pipeline_tag: "text-generation",
    });
  });

  it("have commands for one type, split or not", () => {
    const whole = ggufCard(params({ outputs: [output("Q8_0", 8.5)] })).body;
    expect(whole).toContain("llama-server -hf me/M-GGUF:Q8_0");
    expect(whole).toContain('hf download me/M-GGUF --include "M-Q8_0-0.gguf" --local-dir .');
    const files = [1, 2].map((part) => ({ name: `M-Q8_0-0000${part}-of-00002.gguf`, bytes: 2e9 }));
    const split = ggufCard(params({ outputs: [{ ...output("Q8_0", 8.5), files }] })).body;
    expect(split).toContain('--include "M-Q8_0*.gguf"');
  });

  it("tell what figures are to be compared with", () => {
    const measurement = { hash: "", tokens: 512, context: 64, reference: "M", referencePerplexity: 12.3456 };
    expect(ggufCard(params({ measurement })).body).toContain(
      "against M, whose perplexity is 12.346, were measured on 512 tokens in windows of 64;",
    );
  });

  it("tell files that calibration ran on by their names alone", () => {
    const importance = { file: "im|atrix.gguf", datasets: ["/home/me/secret/wiki.txt", "C:\\texts\\b.txt"] };
    const { body } = ggufCard(params({ importance }));
    expect(body).toContain("| Importance matrix | im\\|atrix.gguf of wiki.txt, b.txt |");
  });

  it("do not send Ollama to split files", () => {
    const split = output("Q4_K_M", 4.85, 3);
    const { body } = ggufCard(params({ outputs: [split, output("Q8_0", 8.5)] }));
    expect(body).toContain("llama-cli -hf me/M-GGUF:Q4_K_M");
    expect(body).toContain("ollama run hf.co/me/M-GGUF:Q8_0");
    expect(body).toMatch(/M-Q4_K_M-0\.gguf\) and 2 more \| Q4_K_M \| 6\.00 GB/);
    expect(ggufCard(params({ outputs: [split] })).body).not.toContain("ollama");
  });

  it("name transformers and vLLM where they read the architecture, and a whole file", () => {
    const { body } = ggufCard(params({ baseModel: "org/M" }));
    expect(body).toContain('AutoTokenizer.from_pretrained("org/M")');
    expect(body).toContain('from_pretrained("me/M-GGUF", gguf_file="M-Q8_0-0.gguf")');
    expect(body).toContain("vllm serve me/M-GGUF:Q8_0 --tokenizer org/M\n");
    const unnamed = ggufCard(params()).body;
    expect(unnamed).toContain('AutoTokenizer.from_pretrained("me/M-GGUF", gguf_file="M-Q8_0-0.gguf")');
    expect(unnamed).toContain("vllm serve me/M-GGUF:Q8_0\n");
    for (const without of [{ architecture: "cohere2" }, { outputs: [output("Q8_0", 8.5, 2)] }]) {
      expect(ggufCard(params(without)).body).not.toMatch(/transformers|vllm/);
    }
  });

  it("keep rows of files that are still there", () => {
    const earlier = ggufCard(params({ outputs: [output("Q8_0", 8.5), output("Q6_K", 6.56)] })).body;
    const outputs = [output("Q4_0", 4.5)];
    const files = new Set(["M-Q8_0-0.gguf"]);
    const { body } = ggufCard(params({ outputs, earlier, files }));
    expect(Array.from(body.matchAll(/^\| \[.*?\) \| (\w+)/gm), ([, type]) => type)).toEqual(["Q8_0", "Q4_0"]);
  });
});

describe("tables of files", () => {
  const tableOf = (body: string): string => /^\| File (?:.*\n)+?\n/m.exec(body)![0];
  const headOf = (body: string): string => /^\| File .*$/m.exec(body)![0];

  it("leave out what was measured of no type", () => {
    const { body } = ggufCard(params());
    expect(headOf(body)).toBe("| File | Type | Size | Bits per weight | Good for |");
    expect(body).not.toContain("\u2013");
    expect(body).not.toContain("Weight error");
  });

  it("keep figures of files that are still there, beside types of which nothing was measured", () => {
    const measured = { ...output("Q8_0", 8.5), figures: { weightError: 0.0123, divergence: 0.001 } };
    const earlier = ggufCard(params({ outputs: [measured] })).body;
    const files = new Set(["M-Q8_0-0.gguf"]);
    const { body } = ggufCard(params({ outputs: [output("Q4_0", 4.5)], earlier, files }));
    expect(headOf(body)).toBe(
      "| File | Type | Size | Bits per weight | KL divergence | Weight error | Good for |",
    );
    expect(body).toMatch(/\| Q8_0 \| 2\.00 GB \| 8\.50 \| 0\.00100 \| 1\.23 % \|/);
    expect(body).toMatch(/\| Q4_0 \| 2\.00 GB \| 4\.50 \| \u2013 \| \u2013 \|/);
    // The other way round, too: what had no figures gets none.
    const later = ggufCard(
      params({
        outputs: [measured],
        earlier: ggufCard(params({ outputs: [output("Q4_0", 4.5)] })).body,
        files: new Set(["M-Q4_0-0.gguf"]),
      }),
    );
    expect(tableOf(later.body)).toBe(tableOf(body));
  });

  it.each([
    "| File | Type |\n| --- | --- |\n| [a](./a) | b |\n",
    "| File | Type | Size | Bits per weight | Mine | Good for |\n| [M-Q8_0-0.gguf](./M-Q8_0-0.gguf) | a | b | 1 | d | e |\n",
    "no table",
  ])("take no rows of other tables: %j", (earlier) => {
    const body = (more: Partial<GgufCardParams>): string =>
      ggufCard(params({ outputs: [output("Q4_0", 4.5)], ...more })).body;
    expect(body({ earlier, files: new Set(["a", "M-Q8_0-0.gguf"]) })).toBe(body({}));
  });
});

describe("cards of checkpoints", () => {
  const text = "---\nlicense: mit\n---\n\n# M, mlx-q4\n\nM, quantized.\n\n## How it was made\n\nSo.\n";

  it("are those of the folder, with who made it", () => {
    const { metadata, body } = checkpointCard({
      text,
      quantizedBy: "me",
      figures: {},
      measurement: undefined,
    });
    expect(metadata).toEqual({ license: "mit", quantized_by: "me" });
    expect(body).not.toContain("Quality");
  });

  it("have what was measured before everything else", () => {
    const { body } = checkpointCard({
      text,
      quantizedBy: "me",
      figures: { perplexity: 13, divergence: 0.0123, agreement: 0.9512 },
      measurement: { hash: "", tokens: 512, context: 64, reference: "M", referencePerplexity: 12.5 },
    });
    expect(body).toMatch(/quantized\.\n\n## Quality\n\n[^]*\n\n## How it was made\n\nSo\./);
    expect(body).toContain("|  | M | Quantized |");
    expect(body).toContain("| Perplexity | 12.500 | 13.000 |");
    expect(body).toContain("| KL divergence | \u2013 | 0.0123 |");
    expect(body).toContain("| Same top token | \u2013 | 95.1 % |");
  });
});

it("finds figures by the names of files", () => {
  const model = { name: "M-Q8_0", architecture: "llama", parameters: 1, bytes: 1 };
  const total = { name: "", windows: 1, positions: 1, perplexity: { value: 7, error: 1 } };
  const evaluation = { model, total } as never;
  expect(measuredFigures([{ evaluation }], ["M-Q8_0.gguf"])).toEqual({ perplexity: 7 });
  expect(measuredFigures([{ evaluation }], ["M-Q8_0-00001-of-00002.gguf"])).toEqual({ perplexity: 7 });
  expect(measuredFigures([{ evaluation }], ["M-Q4_0.gguf"])).toEqual({});
});
