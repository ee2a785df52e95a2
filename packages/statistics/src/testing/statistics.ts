// Makes statistics files: of a block with heads, a block with experts, and an output layer, with values that follow from their place.
import type { StatisticsDescription, StatisticsInput } from "../statistics-file/description.ts";
import { elementsOf, ENTRIES, entriesOf, type StatisticsEntry } from "../statistics-file/entries.ts";
import { planStatistics } from "../statistics-file/plan.ts";
import {
  createStatisticsWriter,
  type StatisticsValues,
  type StatisticsWriter,
} from "../statistics-file/writer.ts";

const dense = { matrices: 1, rowsPerToken: 1, hessian: false, holdOutRows: 0 };

export const SAMPLE_INPUTS: readonly StatisticsInput[] = [
  {
    ...dense,
    name: "blk.0.attn_q",
    modules: ["blk.0.attn_q", "blk.0.attn_k"],
    columns: 5,
    block: 0,
    hessian: true,
    holdOutRows: 3,
    windows: { rows: 7, starts: [0, 4] },
  },
  {
    ...dense,
    name: "blk.0.attn_k_b",
    modules: ["blk.0.attn_k_b"],
    columns: 2,
    matrices: 2,
    rowsPerToken: 2,
    block: 0,
  },
  { ...dense, name: "blk.1.ffn_gate_inp", modules: ["blk.1.ffn_gate_inp"], columns: 4, block: 1 },
  {
    ...dense,
    name: "blk.1.ffn_gate_exps",
    modules: ["blk.1.ffn_gate_exps", "blk.1.ffn_up_exps"],
    columns: 4,
    matrices: 3,
    rowsPerToken: 2,
    block: 1,
    hessian: true,
    holdOutRows: 2,
  },
  { ...dense, name: "output", modules: ["output"], columns: 6, block: 2 },
];

export const TOKENS = 1024;

/** Inputs that experts saw: of three 1400, 648 and 0. */
function expertTokens(experts: number): number[] {
  return Array.from({ length: experts }, (_, expert) =>
    expert === 0 ? 1400 : expert === experts - 1 ? 0 : 648,
  );
}

export function sampleDescription(changes: Partial<StatisticsDescription> = {}): StatisticsDescription {
  return {
    model: {
      name: "sample",
      architecture: "llama",
      identity: "ab".repeat(32),
      tensors: [
        { name: "blk.0.attn_q.weight", shape: [8, 5] },
        { name: "output.weight", shape: [32, 6] },
      ],
    },
    corpus: {
      rule: { kind: "stream", length: 512 },
      calibration: {
        sources: [{ name: "prose.txt", windows: 2, tokens: TOKENS }],
        windows: 2,
        tokens: TOKENS,
        hash: "c1",
      },
      holdOut: {
        sources: [{ name: "prose.txt", windows: 1, tokens: 512 }],
        windows: 1,
        tokens: 512,
        hash: "c2",
      },
    },
    inputs: SAMPLE_INPUTS,
    tool: "quern 0.0.0",
    options: { seed: 1 },
    ...changes,
  };
}

/** All values of an entry, matrix after matrix. Of hold-out rows, the last of each matrix is left out. */
export function sampleValues(input: StatisticsInput, entry: StatisticsEntry): number[] {
  const { matrices, rowsPerToken, columns } = input;
  const tokens =
    rowsPerToken < matrices ? expertTokens(matrices) : Array.from({ length: matrices }, () => TOKENS);
  if (entry === "tokens") return tokens;
  if (entry === "holdOutTokens") return tokens.map((count) => count / 2);
  const rows = input.holdOutRows - 1;
  if (entry === "holdOutRowCounts") return tokens.map((count) => (count > 0 ? rows : 0));
  const perMatrix = elementsOf(input, entry);
  const { signed, type } = ENTRIES[entry];
  return Array.from({ length: perMatrix * matrices }, (_, index) => {
    const matrix = Math.floor(index / perMatrix);
    const isLeftOut = entry === "holdOutRows" && index % perMatrix >= rows * columns;
    if (tokens[matrix] === 0 || isLeftOut) return 0;
    const value = ((index * 7919 + entry.length * 104_729 + input.name.length) % 1021) + 1;
    return signed === true && index % 3 === 1 ? -value / 8 : type === "I64" ? value : value / 8;
  });
}

/** Everything that is written of a block. */
export function blockValues(inputs: readonly StatisticsInput[], block: number): StatisticsValues[] {
  return inputs
    .filter((input) => input.block === block)
    .flatMap((input) => {
      return entriesOf(input).map((entry): StatisticsValues => ({
        input: input.name,
        entry,
        values: sampleValues(input, entry),
      }));
    });
}

export async function writeBlocks(
  writer: StatisticsWriter,
  inputs: readonly StatisticsInput[] = SAMPLE_INPUTS,
): Promise<void> {
  for (const block of new Set(inputs.map(({ block }) => block))) {
    if (writer.completed.has(block)) continue;
    for (const values of blockValues(inputs, block)) await writer.write(values);
    await writer.completeBlock(block);
  }
}

export async function writeSampleStatistics(
  path: string,
  changes: Partial<StatisticsDescription> = {},
): Promise<string> {
  const description = sampleDescription(changes);
  const writer = await createStatisticsWriter({ plan: planStatistics(description), path });
  await writeBlocks(writer, description.inputs);
  await writer.finish();
  return path;
}
