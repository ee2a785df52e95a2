import {
  type GgufMetadata,
  ggufArray,
  ggufScalar,
  type GgufScalarType,
  type GgufTensorSpec,
  type GgufValue,
  tensorSize,
} from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import {
  goldenCases,
  type GoldenFile,
  goldenNames,
  type GoldenPair,
  type GoldenQuantized,
  quantizedPairs,
  readGolden,
} from "../testing/golden.ts";
import type { ImportanceSummary, TypeOverrides } from "./index.ts";
import {
  findMixture,
  MIXTURES,
  quantizedMetadata,
  quantizedTensorOrder,
  selectQuantizedTypes,
} from "./index.ts";
import type { Mixture } from "./mixture.ts";

interface TypeSelection {
  readonly kv: readonly GoldenPair[];
  readonly tensors: readonly (readonly [name: string, ne: readonly number[], type: string])[];
  readonly legend: readonly string[];
  /** Without a map, the quantizer refused. */
  readonly selection: Readonly<Record<string, { readonly map?: string; readonly needs_imatrix?: boolean }>>;
}

/** Metadata with the values that are in a description; of long arrays there is nothing but the key. */
function metadataOf(pairs: readonly GoldenPair[]): GgufMetadata {
  return new Map(
    pairs.map(({ key, type, value, elements }) => [
      key,
      type === "array"
        ? ggufArray(elements as GgufScalarType, (value ?? []) as string[])
        : ggufScalar(type as GgufScalarType, value as string),
    ]),
  );
}

function mixtureOf(name: string): Mixture {
  const mixture = findMixture(name);
  if (mixture === undefined) throw new Error(`no mixture ${name}`);
  return mixture;
}

function typesOf(map: string, { tensors, legend }: TypeSelection): unknown[] {
  return Array.from(map, (digit, index) => [tensors[index]?.[0], legend[Number.parseInt(digit, 36)]]);
}

/** The result, or the code of the error. */
function outcomeOf<Result>(run: () => Result): Result | string {
  try {
    return run();
  } catch (error) {
    if (error instanceof QuernError) return error.code;
    throw error;
  }
}

const models = await goldenNames("type-selection");

describe("types in models of real size", () => {
  it("covers every mixture", () => {
    const { selection } = readGolden<TypeSelection>("type-selection", `${models[0]}.json`);
    const covered = new Set(Object.keys(selection).map((name) => name.replace("+imatrix", "")));
    expect(MIXTURES.filter(({ name }) => !covered.has(name)).map(({ name }) => name)).toEqual([
      "F32",
      "BF16",
    ]);
    expect(covered.size).toBe(MIXTURES.length - 2);
    expect(models.length).toBe(22);
  });

  it.each(models)("%s", (model) => {
    const golden = readGolden<TypeSelection>("type-selection", `${model}.json`);
    const tensors: GgufTensorSpec[] = golden.tensors.map(([name, ne, type]) => ({ name, ne, type }));
    const metadata = metadataOf(golden.kv);
    for (const [column, { map, needs_imatrix }] of Object.entries(golden.selection)) {
      const [name = "", imatrix] = column.split("+");
      const params = {
        mixture: mixtureOf(name),
        metadata,
        // In any order: that of the file follows from the names.
        tensors: quantizedTensorOrder(tensors.toReversed()),
        hasImportance: imatrix === "imatrix",
      };
      const expected = map === undefined ? "MIXTURE_NO_FALLBACK" : typesOf(map, golden);
      const selected = outcomeOf(() => selectQuantizedTypes(params));
      const chosen =
        typeof selected === "string" ? selected : selected.map((tensor) => [tensor.name, tensor.type]);
      expect({ column, chosen }).toEqual({ column, chosen: expected });
      const needs = typeof selected !== "string" && selected.some((tensor) => tensor.requiresImportance);
      expect({ column, needs: params.hasImportance || needs }).toEqual({
        column,
        needs: params.hasImportance || needs_imatrix === true,
      });
    }
  });

  it("gives the figures of the registry", () => {
    const { kv, tensors, selection } = readGolden<TypeSelection>("type-selection", "llama3-8b.json");
    const metadata = metadataOf(kv);
    const measured = MIXTURES.map((mixture): [string, number] => {
      const hasImportance = selection[mixture.name]?.needs_imatrix ?? false;
      const specs = tensors.map(([name, ne]) => ({ name, ne, type: "F32" }));
      return [
        mixture.name,
        bitsPerElement(selectQuantizedTypes({ mixture, metadata, tensors: specs, hasImportance })),
      ];
    });
    expect(measured).toEqual(
      MIXTURES.map(({ name, bitsPerWeight }) => [name, expect.closeTo(bitsPerWeight, 1)]),
    );
  });
});

function bitsPerElement(tensors: readonly { ne: readonly number[]; type: string }[]): number {
  const elements = tensors.reduce((sum, { ne }) => sum + tensorSize("I8", ne), 0);
  return (8 * tensors.reduce((sum, { type, ne }) => sum + tensorSize(type, ne), 0)) / elements;
}

const OPTIONS: Readonly<Record<string, TypeOverrides>> = {
  "Q4_K_M-leave-output-tensor": { leaveOutputTensor: true },
  "Q4_K_M-output-q8_0-embd-q4_0": { outputTensorType: "Q8_0", tokenEmbeddingType: "Q4_0" },
  "Q4_K_M-pure": { pure: true },
  "Q4_K_M-tensor-types": {
    tensorTypes: [
      { pattern: "ffn_down", type: "Q6_K" },
      { pattern: "blk.0.attn_v", type: "Q8_0" },
      { pattern: "attn_v", type: "F16" },
    ],
  },
  "Q6_K-override-kv": {},
};

interface QuantizedCase {
  readonly name: string;
  readonly folder: string;
  readonly file: string;
}

const cases: QuantizedCase[] = [];
for (const name of await goldenCases()) {
  for (const folder of ["quantize", "quantize-imatrix", "quantize-options"]) {
    for (const file of await goldenNames(name, "expected", folder)) {
      if (folder !== "quantize-options" || file in OPTIONS) cases.push({ name, folder, file });
    }
  }
}

const goldenOf = ({ name, folder, file }: QuantizedCase) =>
  readGolden<GoldenQuantized>(name, "expected", folder, `${file}.json`);
const fails = (reason: string) => (test: QuantizedCase) => goldenOf(test).error?.includes(reason) === true;

/** What the quantizer was given, and our choice for it. */
function load(test: QuantizedCase) {
  const { name, folder, file } = test;
  const golden = goldenOf(test);
  const mixture = mixtureOf(file.split("-")[0] ?? "");
  const source = readGolden<GoldenFile>(name, "expected", golden.source);
  const metadata = metadataOf(source.kv);
  const hasImportance = folder === "quantize-imatrix";
  const select = () =>
    selectQuantizedTypes({
      mixture,
      metadata,
      tensors: quantizedTensorOrder(source.tensors),
      hasImportance,
      ...OPTIONS[file],
    });
  return { golden, mixture, source, metadata, hasImportance, select };
}

describe("files of llama-quantize", () => {
  it("are many", () => {
    expect(cases.length).toBe(8 * (31 + 32) + 2 * 5);
  });

  it.each(cases.filter((test) => goldenOf(test).error === undefined))("$name $folder $file", (test) => {
    const { golden, mixture, source, metadata, hasImportance, select } = load(test);
    const selected = select();
    expect(selected.map(({ name, type, ne }) => ({ name, type, ne }))).toEqual(
      golden.tensors.map(({ name, type, ne }) => ({ name, type, ne })),
    );
    expect(hasImportance || !selected.some(({ requiresImportance }) => requiresImportance)).toBe(true);
    const fallbacks = selected.filter(({ fallbackFrom }) => fallbackFrom !== undefined);
    expect(fallbacks.map(({ name }) => name)).toEqual(golden.fallbacks);

    const result = quantizedMetadata(metadata, {
      fileType: mixture.fileType,
      overrides: new Map<string, GgufValue>(test.file === "Q6_K-override-kv" ? OVERRIDDEN : []),
      ...(hasImportance ? { importance: importanceOf(golden) } : {}),
    });
    expect(comparable(result)).toEqual(comparable(metadataOf(quantizedPairs(source.kv, golden))));
  });

  it.each(cases.filter(fails("requires an imatrix")))("$name $folder $file needs importance", (test) => {
    const { golden, select } = load(test);
    const [, tensor] = /offending tensor: (\S+);/.exec(golden.error ?? "") ?? [];
    expect(select().find(({ requiresImportance }) => requiresImportance)?.name).toBe(tensor);
  });

  it.each(cases.filter(fails("no tensor type fallback")))("$name $folder $file has no fallback", (test) => {
    expect(load(test).select).toThrow(expect.objectContaining({ code: "MIXTURE_NO_FALLBACK" }));
  });
});

const OVERRIDDEN: readonly [string, GgufValue][] = [
  ["general.name", ggufScalar("string", "Another name")],
  ["tokenizer.ggml.add_bos_token", ggufScalar("bool", true)],
];

function importanceOf(golden: GoldenQuantized): ImportanceSummary {
  const entries = golden.kv_changed.find(({ key }) => key === "quantize.imatrix.entries_count")?.value;
  return { file: "imatrix.gguf", datasets: ["golden.txt"], entries: Number(entries), chunks: 4 };
}

function comparable(metadata: GgufMetadata): unknown[] {
  return [...metadata].map(([key, value]) => [
    key,
    value.type,
    value.type === "array" ? [...value] : value.value,
  ]);
}
