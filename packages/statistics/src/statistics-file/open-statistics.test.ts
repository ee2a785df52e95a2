import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesSource, QuernError } from "@quern/tensor";
import { readSafetensors, serializeSafetensors, type SafetensorsTensorData } from "safetensors-js";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  SAMPLE_INPUTS,
  sampleDescription,
  sampleValues,
  writeSampleStatistics,
} from "../testing/statistics.ts";
import type { StatisticsInput } from "./description.ts";
import type { StatisticsEntry } from "./entries.ts";
import { openStatistics, readStatistics } from "./open-statistics.ts";
import type { Statistics } from "./statistics.ts";

let folder: string;
let whole: Uint8Array;
let tensors: SafetensorsTensorData[];
let metadata: Readonly<Record<string, string>>;
let statistics: Statistics;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "statistics-"));
  const path = await writeSampleStatistics(join(folder, "stats"));
  whole = await readFile(path);
  const file = await readSafetensors(bytesSource({ bytes: whole }));
  metadata = { ...file.metadata };
  tensors = await Promise.all(
    [...file.tensors.values()].map(async ({ info, read }) => ({ ...info, bytes: await read() })),
  );
  statistics = await openStatistics(path);
});
afterAll(async () => {
  await statistics.close();
  await rm(folder, { recursive: true });
});

const MATRICES = SAMPLE_INPUTS.flatMap((input) => {
  return Array.from({ length: input.matrices }, (_, matrix) => ({ input, matrix }));
});

/** What a matrix has of an entry. */
function valuesOf(input: StatisticsInput, matrix: number, entry: StatisticsEntry): number[] {
  const values = sampleValues(input, entry);
  const length = values.length / input.matrices;
  return values.slice(matrix * length, (matrix + 1) * length);
}

describe("what was written is read", () => {
  it("as it was described", () => {
    const { model, corpus, inputs, tool, options } = statistics;
    expect({ model, corpus, inputs, tool, options }).toEqual(sampleDescription());
  });

  it("by the names of all modules with the same input", async () => {
    expect(statistics.has("blk.0.attn_k")).toBe(true);
    expect(statistics.has("blk.0.attn_v")).toBe(false);
    expect(statistics.input("blk.1.ffn_up_exps")).toEqual(SAMPLE_INPUTS[3]);
    expect(statistics.tokens("blk.1.ffn_up_exps")).toEqual([1400, 648, 0]);
    expect(await statistics.readSumSquares("blk.0.attn_k")).toEqual(
      await statistics.readSumSquares("blk.0.attn_q"),
    );
  });

  it.each(MATRICES)("of $input.name, matrix $matrix", async ({ input, matrix }) => {
    const { name, columns } = input;
    const tokens = sampleValues(input, "tokens")[matrix]!;
    const means = (entry: "sum" | "sumSquares" | "sumAbs"): Float32Array => {
      return Float32Array.from(valuesOf(input, matrix, entry), (sum) => (tokens === 0 ? 0 : sum / tokens));
    };
    expect(await statistics.readChannels(name, matrix)).toEqual({
      tokens,
      mean: means("sum"),
      meanSquare: means("sumSquares"),
      meanAbs: means("sumAbs"),
      absMax: Float32Array.from(valuesOf(input, matrix, "absMax")),
    });
    expect([...(await statistics.readHistogram(name, matrix))]).toEqual(valuesOf(input, matrix, "histogram"));
    const sums = await statistics.readSumSquares(name, { start: matrix * columns, count: columns });
    expect([...sums]).toEqual(valuesOf(input, matrix, "sumSquares"));
  });

  it.each(MATRICES.filter(({ input }) => input.hessian))(
    "of the Hessian of $input.name, matrix $matrix",
    async ({ input, matrix }) => {
      const { name: module, columns } = input;
      const packed = valuesOf(input, matrix, "hessian");
      const rows = await statistics.readHessianRows({ module, matrix, start: 1, count: 2 });
      expect([...rows]).toEqual(packed.slice(1, 6));
      const full = await statistics.readHessian({ module, matrix });
      for (let row = 0; row < columns; row++) {
        for (let column = 0; column <= row; column++) {
          const expected = packed[(row * (row + 1)) / 2 + column];
          expect(full[row * columns + column]).toBe(expected);
          expect(full[column * columns + row]).toBe(expected);
        }
      }
    },
  );

  it.each(MATRICES.filter(({ input }) => input.holdOutRows > 0))(
    "of the windows kept apart for $input.name, matrix $matrix",
    async ({ input, matrix }) => {
      const tokens = sampleValues(input, "holdOutTokens")[matrix]!;
      const rowCount = tokens > 0 ? input.holdOutRows - 1 : 0;
      const squares = valuesOf(input, matrix, "holdOutSumSquares");
      expect(await statistics.readHoldOut(input.name, matrix)).toEqual({
        tokens,
        meanSquare: Float32Array.from(squares, (sum) => (tokens === 0 ? 0 : sum / tokens)),
        rows: Float32Array.from(valuesOf(input, matrix, "holdOutRows").slice(0, rowCount * input.columns)),
        rowCount,
      });
    },
  );

  it("of windows that were kept whole", async () => {
    const [input] = SAMPLE_INPUTS;
    expect(await statistics.readWindows("blk.0.attn_k")).toEqual({
      rows: Float32Array.from(valuesOf(input!, 0, "windowRows")),
      starts: [0, 4],
    });
    expect(valuesOf(input!, 0, "windowRows")).toHaveLength(7 * input!.columns);
  });

  it("into an array that is given", async () => {
    const into = new Float64Array(30).fill(-1);
    expect(await statistics.readHessian({ module: "blk.0.attn_q", into })).toBe(into);
    expect([...into.subarray(0, 25)]).toEqual([
      ...(await statistics.readHessian({ module: "blk.0.attn_q" })),
    ]);
    expect([...into.subarray(25)]).toEqual([-1, -1, -1, -1, -1]);
  });

  it("or is not there", async () => {
    const unknown = { code: "STATISTICS_UNKNOWN_MODULE" };
    expect(() => statistics.input("blk.9.attn_q")).toThrow(expect.objectContaining(unknown) as Error);
    await expect(statistics.readChannels("blk.9.attn_q")).rejects.toMatchObject(unknown);
    await expect(statistics.readChannels("output", 1)).rejects.toMatchObject(unknown);
    const range = { start: 3, count: 4 };
    await expect(statistics.readSumSquares("output", range)).rejects.toMatchObject(unknown);
    await expect(
      statistics.readHessianRows({ module: "blk.0.attn_q", start: 4, count: 2 }),
    ).rejects.toMatchObject(unknown);
    const absent = { code: "STATISTICS_NOT_COLLECTED", subject: { tensor: "output" } };
    await expect(statistics.readHessian({ module: "output" })).rejects.toMatchObject(absent);
    await expect(statistics.readHoldOut("output")).rejects.toMatchObject(absent);
    await expect(statistics.readWindows("output")).rejects.toMatchObject(absent);
    const small = { module: "blk.0.attn_q", into: new Float64Array(24) };
    await expect(statistics.readHessian(small)).rejects.toMatchObject({ code: "STATISTICS_TOO_LARGE" });
  });
});

/** Everything of a file: either it is read, or an error names it. */
async function readAll(bytes: Uint8Array): Promise<string> {
  try {
    const file = await readStatistics(bytesSource({ bytes, name: "bad" }));
    for (const { name, matrices, hessian, holdOutRows } of file.inputs) {
      for (let matrix = 0; matrix < matrices; matrix++) {
        await file.readChannels(name, matrix);
        await file.readHistogram(name, matrix);
        if (hessian) await file.readHessian({ module: name, matrix });
        if (holdOutRows > 0) await file.readHoldOut(name, matrix);
      }
    }
    return "read";
  } catch (error) {
    if (error instanceof QuernError && error.message.startsWith("bad: ")) return error.code;
    throw error;
  }
}

/** The file with other text in its header. */
function withMetadata(changes: Record<string, string | undefined>): Uint8Array {
  const changed = Object.entries({ ...metadata, ...changes }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return serializeSafetensors({ tensors, metadata: Object.fromEntries(changed) });
}

function withTensor(
  name: string,
  change: (tensor: SafetensorsTensorData) => SafetensorsTensorData[],
): Uint8Array {
  const changed = tensors.flatMap((tensor) => (tensor.name === name ? change(tensor) : [tensor]));
  return serializeSafetensors({ tensors: changed, metadata });
}

describe("a hostile file", () => {
  it("is not refused when nothing is wrong", async () => {
    expect(await readAll(withMetadata({}))).toBe("read");
  });

  it("with any byte changed is read or refused", async () => {
    const outcomes = new Set<string>();
    for (let offset = 0; offset < whole.length; offset += offset < 8000 ? 5 : 211) {
      const bytes = Uint8Array.from(whole);
      bytes[offset]! ^= 0x81;
      outcomes.add(await readAll(bytes));
    }
    expect([...outcomes]).toEqual(expect.arrayContaining(["read", "STATISTICS_INVALID"]));
  });

  it("cut anywhere is refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
        expect(await readAll(whole.subarray(0, length))).toMatch(/^SAFETENSORS_/);
      }),
    );
  });

  it("with any other value in its text is read or refused", async () => {
    const keys = ["model", "tensors", "corpus", "options", "inputs"] as const;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...keys), fc.json(), fc.nat(), async (key, json, place) => {
        const outcomes = [await readAll(withMetadata({ [key]: json }))];
        // One value somewhere inside is another one.
        const value = JSON.parse(metadata[key]!) as unknown;
        const places = leavesOf(value);
        const { holder, name } = places[place % places.length]!;
        holder[name] = JSON.parse(json) as unknown;
        outcomes.push(await readAll(withMetadata({ [key]: JSON.stringify(value) })));
        for (const outcome of outcomes) expect(["read", "STATISTICS_INVALID"]).toContain(outcome);
      }),
      { numRuns: 300 },
    );
  });

  const texts: [string, string | undefined, RegExp][] = [
    ["format", "other", /not a statistics file/],
    ["format", undefined, /not a statistics file/],
    ["version", "2", /version of the statistics is "2": expected "1"/],
    ["tool", undefined, /the metadata have no "tool"/],
    ["model", "{", /model is not JSON/],
    ["model", `{"name":"a","architecture":1}`, /model\.architecture is 1: expected a string/],
    ["tensors", `[["a",[-1]]]`, /tensors\[0\]\[1\]\[0\] is -1: expected a whole number/],
    ["corpus", `{"rule":{"kind":"stream","length":0}}`, /no tokens: expected at least one/],
    ["options", "[]", /options is \[\]: expected an object/],
    ["inputs", "{}", /inputs is {}: expected an array/],
    ["inputs", "[]", /is of no input of the metadata/],
  ];
  it.each(texts)("with wrong text is refused: %s %s", async (key, value, message) => {
    const read = readStatistics(bytesSource({ bytes: withMetadata({ [key]: value }), name: "bad" }));
    await expect(read).rejects.toThrow(message);
  });

  it.each([
    ["columns", 2 ** 40],
    ["columns", 6],
    ["matrices", 2],
    ["matrices", 2 ** 60],
    ["holdOutRows", 4],
    ["hessian", false],
    ["modules", ["blk.0.attn_k_b"]],
  ])("with an input whose %s is %s is refused", async (key, value) => {
    const [first, ...others] = SAMPLE_INPUTS;
    const inputs = JSON.stringify([{ ...first, [key]: value }, ...others]);
    expect(await readAll(withMetadata({ inputs }))).toBe("STATISTICS_INVALID");
  });

  it("without a tensor, with one more, or one of another type or shape is refused", async () => {
    const name = "blk.1.ffn_gate_exps.sum";
    const files = [
      withTensor(name, () => []),
      withTensor(name, (tensor) => [tensor, { ...tensor, name: "more" }]),
      withTensor(name, (tensor) => [{ ...tensor, type: "I32" }]),
      withTensor(name, (tensor) => [{ ...tensor, shape: [4, 3] }]),
      withTensor(name, (tensor) => [{ ...tensor, shape: [12] }]),
    ];
    for (const file of files) expect(await readAll(file)).toBe("STATISTICS_INVALID");
  });

  const numbers: [string, SafetensorsTensorData["type"], number][] = [
    ["output.tokens", "I64", -1],
    ["output.tokens", "I64", 2 ** 60],
    ["output.histogram", "I64", -5],
    ["output.sum", "F32", Number.NaN],
    ["output.sum_squares", "F32", -1],
    ["output.abs_max", "F32", Infinity],
    ["blk.0.attn_q.hessian", "F32", Number.NaN],
    ["holdout.blk.0.attn_q.row_counts", "I64", 4],
    ["holdout.blk.0.attn_q.rows", "F32", -Infinity],
  ];
  it.each(numbers)("in which a number of %s (%s) is %s is refused", async (name, type, value) => {
    const bytes = withTensor(name, (tensor) => {
      const changed = Uint8Array.from(tensor.bytes);
      const view = new DataView(changed.buffer);
      if (type === "I64") view.setBigInt64(0, BigInt(value), true);
      else view.setFloat32(0, value, true);
      return [{ ...tensor, bytes: changed }];
    });
    expect(await readAll(bytes)).toBe("STATISTICS_INVALID");
  });

  it("that is another safetensors file is refused", async () => {
    const bytes = serializeSafetensors({ tensors: [], metadata: { format: "pt" } });
    expect(await readAll(bytes)).toBe("STATISTICS_INVALID");
  });
});

/** Where the values of a JSON value are that have no members. */
function leavesOf(value: unknown): { holder: Record<string, unknown>; name: string }[] {
  const holder = value as Record<string, unknown>;
  return Object.entries(holder).flatMap(([name, member]) => {
    return typeof member === "object" && member !== null ? leavesOf(member) : [{ holder, name }];
  });
}
