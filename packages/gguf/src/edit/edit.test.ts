import { bytesSource } from "@quern/tensor";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  editGgufMetadata,
  ggufArray,
  type GgufEdit,
  type GgufFile,
  ggufInt32,
  type GgufLayout,
  type GgufMetadata,
  ggufString,
  ggufUint16,
  ggufUint32,
  type GgufValue,
  planGguf,
  planGgufEdit,
  planGgufHeaderInPlace,
  readGguf,
} from "../index.ts";
import { anyMetadata, plain, tensorSpecs } from "../testing/arbitraries.ts";

const metadata: GgufMetadata = new Map<string, GgufValue>([
  ["general.architecture", ggufString("llama")],
  ["general.name", ggufString("Old")],
  ["llama.context_length", ggufUint32(2048)],
  ["tokenizer.ggml.tokens", ggufArray("string", ["a", "b", "c"])],
  ["tokenizer.ggml.eos_token_id", ggufUint32(1)],
  ["tokenizer.chat_template", ggufString("{{ old }}")],
  ["split.count", ggufUint16(2)],
]);

const set = (key: string, value: GgufValue): GgufEdit => ({ set: new Map([[key, value]]) });

describe("editing metadata", () => {
  it("replaces at the same place, adds at the end, removes, and says what is different", () => {
    const edit: GgufEdit = {
      set: new Map<string, GgufValue>([
        ["general.url", ggufString("https://example.org")],
        ["general.name", ggufString("New")],
        ["llama.context_length", ggufUint32(2048)],
      ]),
      remove: ["tokenizer.chat_template"],
    };
    const edited = editGgufMetadata({ metadata, edit });
    expect([...edited.metadata.keys()]).toEqual([
      "general.architecture",
      "general.name",
      "llama.context_length",
      "tokenizer.ggml.tokens",
      "tokenizer.ggml.eos_token_id",
      "split.count",
      "general.url",
    ]);
    expect(edited.changes).toEqual([
      { key: "tokenizer.chat_template", before: ggufString("{{ old }}") },
      { key: "general.url", after: ggufString("https://example.org") },
      { key: "general.name", before: ggufString("Old"), after: ggufString("New") },
    ]);
    expect(metadata.get("general.name")).toEqual(ggufString("Old"));
  });

  it("sets chat templates, and lists those that have a name", () => {
    const once = editGgufMetadata({
      metadata,
      edit: { chatTemplates: new Map([["default", "{{ new }}"]]) },
    });
    expect(plain(new Map(once.changes.map(({ key, after }) => [key, after!])))).toEqual([
      ["tokenizer.chat_template", "string", "{{ new }}"],
    ]);
    const named = (name: string): GgufEdit => ({ chatTemplates: new Map([[name, "{{ x }}"]]) });
    const first = editGgufMetadata({ metadata, edit: named("tool_use") });
    const second = editGgufMetadata({ metadata: first.metadata, edit: named("rag") });
    expect(second.metadata.get("tokenizer.chat_template.rag")).toEqual(ggufString("{{ x }}"));
    const names = second.metadata.get("tokenizer.chat_templates");
    expect(names?.type === "array" ? [...names] : names).toEqual(["tool_use", "rag"]);
    expect(() => editGgufMetadata({ metadata, edit: named("a b") })).toThrow(
      expect.objectContaining({ code: "GGUF_EDIT_TEMPLATE" }),
    );
  });

  const breaking: ReadonlyArray<readonly [what: string, edit: GgufEdit, key: string]> = [
    ["another architecture", set("general.architecture", ggufString("qwen3")), "general.architecture"],
    ["no architecture", { remove: ["general.architecture"] }, "general.architecture"],
    ["another alignment", set("general.alignment", ggufUint32(64)), "general.alignment"],
    ["another set", set("split.count", ggufUint16(1)), "split.count"],
    ["no set", { remove: ["split.count"] }, "split.count"],
    ["a part of a set", set("split.tensors.count", ggufInt32(1)), "split.tensors.count"],
    ["another type", set("llama.context_length", ggufInt32(2048)), "llama.context_length"],
    [
      "another kind of array",
      set("tokenizer.ggml.tokens", ggufArray("int32", [1, 2, 3])),
      "tokenizer.ggml.tokens",
    ],
    [
      "a shorter vocabulary",
      set("tokenizer.ggml.tokens", ggufArray("string", ["a"])),
      "tokenizer.ggml.tokens",
    ],
    ["no vocabulary", { remove: ["tokenizer.ggml.tokens"] }, "tokenizer.ggml.tokens"],
    [
      "an id beyond the vocabulary",
      set("tokenizer.ggml.eos_token_id", ggufUint32(3)),
      "tokenizer.ggml.eos_token_id",
    ],
  ];

  it.each(breaking)("refuses %s, unless forced", (_what, edit, key) => {
    expect(() => editGgufMetadata({ metadata, edit })).toThrow(
      expect.objectContaining({ code: "GGUF_EDIT_REFUSED", subject: { key } }),
    );
    expect(editGgufMetadata({ metadata, edit, force: true }).changes.map((change) => change.key)).toEqual([
      key,
    ]);
  });

  it("lets values change that break nothing", () => {
    const tokens = ggufArray("string", ["x", "b", "c"]);
    expect(editGgufMetadata({ metadata, edit: set("tokenizer.ggml.tokens", tokens) }).changes).toHaveLength(
      1,
    );
    const same = ggufArray("string", ["a", "b", "c"]);
    expect(editGgufMetadata({ metadata, edit: set("tokenizer.ggml.tokens", same) }).changes).toEqual([]);
    expect(
      editGgufMetadata({ metadata, edit: set("tokenizer.ggml.eos_token_id", ggufUint32(2)) }).changes,
    ).toHaveLength(1);
  });

  it("refuses to remove what is not there, or what is set", () => {
    expect(() => editGgufMetadata({ metadata, edit: { remove: ["general.nmae"] } })).toThrow(
      expect.objectContaining({ code: "GGUF_EDIT_KEY_MISSING", subject: { key: "general.nmae" } }),
    );
    const both = { ...set("general.name", ggufString("x")), remove: ["general.name"] };
    expect(() => editGgufMetadata({ metadata, edit: both })).toThrow(
      expect.objectContaining({ code: "GGUF_EDIT_CONFLICT" }),
    );
  });
});

/** A file whose data is all ones. */
function bytesOf(layout: GgufLayout): Uint8Array {
  const bytes = new Uint8Array(layout.fileSize).fill(1, layout.header.byteLength);
  bytes.set(layout.header);
  return bytes;
}

async function fileOf(layout: GgufLayout): Promise<GgufFile> {
  return readGguf(bytesSource({ bytes: bytesOf(layout) }));
}

function withoutFiller(read: GgufMetadata): GgufMetadata {
  return new Map([...read].filter(([key]) => key !== "quern.filler"));
}

describe("a header in place", () => {
  it("ends where the old one did and says what it should, whenever there is one", async () => {
    const outcomes = { fits: 0, doesNot: 0 };
    await fc.assert(
      fc.asyncProperty(
        anyMetadata,
        anyMetadata,
        tensorSpecs.filter((specs) => specs.length > 0),
        fc.constantFrom(1, 8, 32, 4096),
        fc.option(fc.nat(200)),
        async (before, after, tensors, alignment, reserve) => {
          const original = await fileOf(planGguf({ metadata: before, tensors, alignment }));
          const old = await fileOf(
            planGgufEdit({
              file: original,
              metadata: original.metadata,
              ...(reserve === null ? {} : { reserve }),
            }),
          );
          const stated = old.metadata.get("general.alignment");
          const wanted = new Map([
            ...after,
            ...(stated === undefined ? [] : [["general.alignment", stated] as const]),
          ]);
          const header = planGgufHeaderInPlace({ file: old, metadata: wanted });
          const needed = planGgufEdit({ file: old, metadata: wanted }).header.byteLength;
          const room = old.dataOffset - needed;
          outcomes[header === undefined ? "doesNot" : "fits"]++;
          // Below an alignment of 32 there can be too little room even for an empty filler.
          fc.pre(header !== undefined || room === 0 || room >= 32);
          if (header === undefined) throw new Error(`${room} bytes of room are not used`);
          expect(header).toHaveLength(old.dataOffset);
          const bytes = bytesOf(planGguf({ metadata: before, tensors, alignment }));
          const patched = new Uint8Array(old.dataOffset + bytes.byteLength);
          patched.set(header);
          const read = await readGguf(bytesSource({ bytes: patched }));
          expect(plain(withoutFiller(read.metadata))).toEqual(plain(wanted));
          expect([...read.tensors.values()]).toEqual([...old.tensors.values()]);
          expect(read.dataOffset).toBe(old.dataOffset);
        },
      ),
      { numRuns: 300 },
    );
    expect(outcomes.fits).toBeGreaterThan(30);
    expect(outcomes.doesNot).toBeGreaterThan(30);
  });

  const tensors = [{ name: "t", type: "F32", ne: [8] }];

  it("always fits when values get shorter, to the byte, and uses the room that is left later", async () => {
    for (let length = 0; length <= 100; length++) {
      const named = (size: number): GgufMetadata => new Map([["general.name", ggufString("x".repeat(size))]]);
      const file = await fileOf(planGguf({ metadata: named(100), tensors }));
      const header = planGgufHeaderInPlace({ file, metadata: named(length) })!;
      expect(header).toHaveLength(file.dataOffset);
      const patched = await readGguf(
        bytesSource({ bytes: Uint8Array.from([...header, ...new Uint8Array(32)]) }),
      );
      expect(planGgufHeaderInPlace({ file: patched, metadata: named(100) })).toEqual(
        planGguf({ metadata: named(100), tensors }).header,
      );
    }
  });

  it("has the room that was reserved", async () => {
    const old = await fileOf(planGguf({ metadata: new Map(), tensors }));
    const roomy = await fileOf(planGgufEdit({ file: old, metadata: old.metadata, reserve: 1000 }));
    const long: GgufMetadata = new Map([["general.name", ggufString("x".repeat(900))]]);
    expect(planGgufHeaderInPlace({ file: old, metadata: long })).toBeUndefined();
    expect(planGgufHeaderInPlace({ file: roomy, metadata: long })).toHaveLength(roomy.dataOffset);
    expect(planGgufEdit({ file: roomy, metadata: roomy.metadata }).header).toEqual(
      planGguf({ metadata: new Map(), tensors }).header,
    );
  });

  it("does not move tensors that lie in an order of their own", async () => {
    const layout = planGguf({
      metadata: new Map(),
      tensors: [...tensors, { name: "u", type: "F32", ne: [8] }],
    });
    const bytes = bytesOf(layout);
    const view = new DataView(bytes.buffer);
    // The offsets are the last 8 bytes of each line of the table, of which the second is the last.
    const entry = 8 + 1 + 4 + 8 + 4 + 8;
    const table = 24;
    view.setBigUint64(table + entry - 8, 32n, true);
    view.setBigUint64(table + 2 * entry - 8, 0n, true);
    const file = await readGguf(bytesSource({ bytes }));
    expect(planGgufHeaderInPlace({ file, metadata: file.metadata })).toBeUndefined();
  });
});

it("keeps the bytes of a single string that is not UTF-8", async () => {
  const layout = planGguf({ metadata: new Map([["k", ggufString("ab\ufeff")]]), tensors: [] });
  const bytes = layout.header.slice();
  bytes[bytes.indexOf(0x61)] = 0xff;
  const file = await readGguf(bytesSource({ bytes }));
  expect(file.metadata.get("k")).toMatchObject({ type: "string", value: "\ufffdb\ufeff" });
  const edited = editGgufMetadata({ metadata: file.metadata, edit: set("a", ggufUint32(1)) });
  edited.metadata.delete("a");
  expect(planGguf({ metadata: edited.metadata, tensors: [] }).header).toEqual(bytes);
});
