import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "../json-file.ts";
import { memoryCheckpoint } from "../testing/memory-checkpoint.ts";
import { generalMetadata } from "./general-metadata.ts";

interface Model {
  readonly name?: string;
  readonly readme?: string | Uint8Array;
  readonly card?: string;
  readonly generation?: unknown;
  readonly config?: JsonObject;
  readonly parameters?: number;
}

async function describeGeneral(model: Model): Promise<{ metadata: GgufMetadata; warnings: QuernError[] }> {
  const { name = "checkpoint", card, generation, config = {}, parameters: total = 0 } = model;
  const readme = model.readme ?? (card === undefined ? undefined : `---\n${card}\n---\n\n# Title\n`);
  const files = memoryCheckpoint({ "README.md": readme, "generation_config.json": generation }, name);
  const warnings: QuernError[] = [];
  const metadata = await generalMetadata({
    files,
    config,
    parameters: { total, shared: total, expert: 0, expertCount: 0 },
    onWarning: (warning) => warnings.push(warning),
  });
  return { metadata, warnings };
}

/** Keys without "general.", but for type and name. */
async function keys(model: Model): Promise<Record<string, unknown>> {
  const { metadata, warnings } = await describeGeneral(model);
  expect(warnings).toEqual([]);
  const pairs = [...metadata].map(([key, value]): [string, unknown] => [
    key.slice("general.".length),
    value.type === "array" ? [...value] : value.value,
  ]);
  return Object.fromEntries(pairs.filter(([key]) => key !== "type" && key !== "name"));
}

/** The keys that come from the name of a model. */
async function named(model: Model): Promise<Record<string, unknown>> {
  const { metadata } = await describeGeneral(model);
  const found = ["name", "organization", "basename", "finetune", "version", "size_label"].map(
    (key): [string, unknown] => {
      const value = metadata.get(`general.${key}`);
      return [key, value?.type === "string" ? value.value : undefined];
    },
  );
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

describe("model card", () => {
  it.each<[string, string, Record<string, unknown>]>([
    [
      "no, on and 1.0 as text",
      "language: no\nversion: 1.0\nlicense: on",
      { version: "1.0", license: "on", languages: ["no"] },
    ],
    [
      "lists in either style",
      "tags: [a, no]\nlanguage:\n- en\n- no\n- de",
      { tags: ["a", "no"], languages: ["en", "no", "de"] },
    ],
    [
      "one text as a list of one",
      "language: en\npipeline_tag: text-generation",
      { tags: ["text-generation"], languages: ["en"] },
    ],
    ["the pipeline after the tags", "pipeline_tag: p\ntags:\n- t", { tags: ["t", "p"] }],
    [
      "null as nothing",
      "license: ~\nauthor:\ndescription: null\ntags: null\nlanguage: [en, null]",
      { languages: ["en"] },
    ],
    ["quoted null as text", 'author: "null"', { author: "null" }],
    ["folded text", "description: >-\n  over\n  two lines", { description: "over two lines" }],
    ["tabs", "tags:\n\t- t", { tags: ["t"] }],
    ["the last of a key given twice", "license: a\nlicense: b", { license: "b" }],
    ["several licences joined", "license:\n- mit\n- apache-2.0", { license: "mit,apache-2.0" }],
    [
      "merged mappings",
      "x: &x\n  name: N\nbase_model:\n- <<: *x\n  version: v1",
      { "base_model.count": 1, "base_model.0.name": "N", "base_model.0.version": "v1" },
    ],
    [
      "keys of other conventions",
      "model_creator: C\nmodel_type: T\nmodel_url: U",
      { author: "C", basename: "T", "source.url": "U" },
    ],
    ["the plainest key first", "model_creator: C\nauthor: A\nmodel_author: M", { author: "A" }],
    ["structures where text belongs as nothing", "license: {a: b}\nauthor: {c: d}", {}],
    ["a base model that is nothing", "base_model:", { "base_model.count": 0 }],
    ["empty lists as nothing", "tags: []\nlanguage: []", {}],
  ])("reads %s", async (_, card, expected) => {
    const found = await keys({ card });
    expect(found).toEqual(expected);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
  });

  it.each([
    ["without front matter", "# Title\n---\nlicense: mit\n---\n"],
    ["with text before it", "\n---\nlicense: mit\n---\n"],
    ["that is empty", ""],
    ["with a list", "---\n- mit\n---\n"],
  ])("says nothing: %s", async (_, readme) => {
    expect(await keys({ readme })).toEqual({});
  });

  it("may end its lines as Windows does, or not end", async () => {
    expect(await keys({ readme: "---\r\nlicense: mit\r\n---\r\ntext" })).toEqual({ license: "mit" });
    expect(await keys({ readme: "---\nlicense: mit" })).toEqual({ license: "mit" });
  });

  const bomb = Array.from({ length: 9 }, (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n},`.repeat(9)}]`).join(
    "\n",
  );
  it.each<[string, string | Uint8Array, string]>([
    ["broken YAML", "---\nlicense: `mit\n---\n", "MODEL_CARD_MALFORMED"],
    ["aliases without end", `---\nl0: &l0 x\n${bomb}\n---\n`, "MODEL_CARD_MALFORMED"],
    ["brackets without end", `---\n${"[".repeat(100_000)}\n---\n`, "MODEL_CARD_MALFORMED"],
    ["lists in lists without end", `---\n${"- ".repeat(100_000)}x\n---\n`, "MODEL_CARD_MALFORMED"],
    [
      "mappings in mappings without end",
      `---\n${Array.from({ length: 300 }, (_, n) => `${" ".repeat(n)}a:`).join("\n")}\n---\n`,
      "MODEL_CARD_MALFORMED",
    ],
    ["front matter without end", `---\n${"# x\n".repeat(300_000)}\n---\n`, "MODEL_CARD_MALFORMED"],
    ["bytes that are no text", Uint8Array.of(0x2d, 0xff), "CHECKPOINT_FILE_NOT_UTF8"],
  ])("gives a warning and no more: %s", async (_, readme, code) => {
    const { metadata, warnings } = await describeGeneral({ readme });
    expect([...metadata.keys()]).toEqual(["general.type", "general.name"]);
    expect(warnings.map((warning) => [warning.code, warning.subject.file])).toEqual([[code, "README.md"]]);
  });

  it("is read without a fault, whatever it holds", async () => {
    const line = fc.oneof(
      fc.constantFrom("license:", "tags:", "- ", "base_model: ", "datasets: ", "  ", "language: ", "name: "),
      fc.string({ maxLength: 12 }),
      fc.constantFrom("[", "{", "a/b", "&x", "*x", "!!set", "|", "\t", "https://huggingface.co/a/b"),
    );
    const text = fc.array(
      fc.array(line, { maxLength: 4 }).map((parts) => parts.join("")),
      { maxLength: 10 },
    );
    await fc.assert(
      fc.asyncProperty(text, async (lines) => {
        const { metadata } = await describeGeneral({ card: lines.join("\n") });
        expect(metadata.get("general.type")).toEqual({ type: "string", value: "model" });
      }),
      { numRuns: 500 },
    );
  });
});

describe("where a model comes from", () => {
  it.each<[string, Record<string, unknown>]>([
    [
      "org/Model-7B-v0.2",
      {
        name: "Model 7B v0.2",
        organization: "Org",
        version: "v0.2",
        repo_url: "https://huggingface.co/org/Model-7B-v0.2",
      },
    ],
    ["Model-7B", { name: "Model 7B" }],
    ["a name", { name: "A Name" }],
    ["./dir/model", { name: "Dir/Model" }],
    [
      "https://huggingface.co/org/model-x",
      { name: "Model X", organization: "Org", repo_url: "https://huggingface.co/org/model-x" },
    ],
    [
      "https://huggingface.co/org/model/tree/main",
      { repo_url: "https://huggingface.co/org/model/tree/main" },
    ],
    ["https://example.org/model", { repo_url: "https://example.org/model" }],
    ["ssh://host/model", { repo_url: "ssh://host/model" }],
  ])("%s", async (id, fields) => {
    const prefixed = Object.entries(fields).map(([key, value]) => [`base_model.0.${key}`, value]);
    expect(await keys({ card: `base_model: ${JSON.stringify(id)}` })).toEqual({
      "base_model.count": 1,
      ...Object.fromEntries(prefixed),
    });
  });

  it("may be written out, and counts even if it says nothing", async () => {
    const card = "datasets:\n- name: N\n  doi: D\n  unknown: U\n- 5\n- null\n- [x]";
    expect(await keys({ card })).toEqual({
      "dataset.count": 4,
      "dataset.0.name": "N",
      "dataset.0.doi": "D",
      "dataset.1.name": "5",
      "dataset.1.version": "5",
    });
  });

  it("is named by the first key that there is", async () => {
    expect(await keys({ card: "base_models: b/b\nbase_model: ''\ndataset: d" })).toEqual({
      "base_model.count": 1,
      "dataset.count": 1,
      "dataset.0.name": "D",
    });
  });
});

describe("name", () => {
  it("comes from the card, then from config.json, then from the folder, part by part", async () => {
    const config = { _name_or_path: "org/Model-7B" };
    expect(await named({ config, name: "other-chat-v2" })).toEqual({
      name: "Model 7B",
      organization: "Org",
      basename: "Model",
      finetune: "chat",
      version: "v2",
      size_label: "7B",
    });
    expect(await named({ config, card: "name: Mine\nbasename: Base" })).toMatchObject({
      name: "Mine",
      basename: "Base",
      size_label: "7B",
    });
  });

  it("does not come from a path on somebody's computer", async () => {
    expect(await named({ config: { _name_or_path: "/data/models/x" } })).toEqual({ name: "Checkpoint" });
  });

  it("has a size counted from the parameters if it says none, or one that is far off", async () => {
    expect(await named({ parameters: 1_235_814_400 })).toMatchObject({ size_label: "1.2B" });
    expect(await named({ name: "Model-1B", parameters: 1_235_814_400 })).toMatchObject({ size_label: "1B" });
    expect(await named({ name: "Model-70B", parameters: 1_235_814_400 })).toMatchObject({
      size_label: "1.2B",
      finetune: "70b",
    });
  });
});

describe("sampling parameters", () => {
  it("are those of generation_config.json that GGUF has keys for", async () => {
    const generation = {
      temperature: 0.6,
      top_k: 20,
      top_p: 1,
      repetition_penalty: 1.5,
      eos_token_id: [1],
      do_sample: true,
    };
    const { metadata } = await describeGeneral({ generation });
    expect([...metadata].slice(1, -1)).toEqual([
      ["general.sampling.top_k", { type: "int32", value: 20 }],
      ["general.sampling.top_p", { type: "float32", value: 1 }],
      ["general.sampling.temp", { type: "float32", value: Math.fround(0.6) }],
      ["general.sampling.penalty_repeat", { type: "float32", value: 1.5 }],
    ]);
  });

  it("prefer GGUF's own name of the repetition penalty", async () => {
    expect(await keys({ generation: { repetition_penalty: 1.5, penalty_repeat: 2 } })).toEqual({
      "sampling.penalty_repeat": 2,
    });
  });

  it("are left out when they are of another kind", async () => {
    expect(
      await keys({
        generation: { top_k: 20.5, temperature: null, top_p: "0.9", mirostat: 1e12, sequence: "" },
      }),
    ).toEqual({});
  });

  it("give a warning and no more when the file is broken", async () => {
    const { warnings } = await describeGeneral({ generation: "{" });
    expect(warnings.map(({ code, subject }) => [code, subject.file])).toEqual([
      ["CHECKPOINT_JSON_MALFORMED", "generation_config.json"],
    ]);
  });
});
