import { ggufString, planGguf, readGguf } from "@quern/gguf";
import { bytesSource, decodeElements } from "@quern/tensor";
import { describe, expect, it } from "vitest";
import { describeGguf } from "../describe-gguf.ts";
import { describeModel } from "../describe-model.ts";
import { evaluateRows } from "../expressions/evaluate.ts";
import {
  type ForwardCase,
  forwardCase,
  type LoadedCase,
  loadCase,
  runCase,
} from "../testing/forward-case.ts";
import type { ModelTensor } from "../model.ts";
import { goldenCheckpoint } from "../testing/golden-checkpoint.ts";
import { forwardModel } from "./forward-model.ts";

/** The checkpoint of a golden case as a GGUF file with its matrices as they are stored, read again. */
async function asGguf({ checkpoint, edits }: ForwardCase): Promise<LoadedCase> {
  const { input, reader } = await goldenCheckpoint(checkpoint, edits);
  const description = await describeModel(input);
  const metadata = description.metadata({ fileType: 0 });
  metadata.set("general.name", ggufString("golden"));
  const typeOf = ({ storage, sourceType }: ModelTensor): string =>
    typeof storage === "object" ? storage.packed : storage === "f32" ? "F32" : sourceType;
  const layout = planGguf({
    metadata,
    tensors: description.tensors.map((tensor) => ({
      name: tensor.name,
      type: typeOf(tensor),
      ne: tensor.shape.toReversed(),
    })),
  });
  const bytes = new Uint8Array(layout.fileSize);
  bytes.set(layout.header);
  for (const [index, tensor] of description.tensors.entries()) {
    const { shape, expression, sourceType } = tensor;
    const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const stored = await evaluateRows(expression, { reader, firstRow: 0, rows });
    const converted =
      typeOf(tensor) === "F32"
        ? new Uint8Array(decodeElements({ type: sourceType, bytes: stored }).buffer)
        : stored;
    bytes.set(converted, layout.tensors[index]!.offset);
  }

  const file = await readGguf(bytesSource({ bytes, name: "golden.gguf" }));
  const infos = new Map(
    [...file.tensors.values()].map(({ name, type, ne }) => {
      const plain = type === "F32" || type === "BF16" || type === "F16";
      const shape = plain ? ne.toReversed() : [...ne.slice(1).toReversed(), (ne[0]! / 32) * 17];
      return [name, { name, type: plain ? type : "U8", shape, ne, ggmlType: type } as const];
    }),
  );
  const described = describeGguf({ name: file.name, metadata: file.metadata, tensors: infos.values() });
  return {
    model: forwardModel(described),
    tensors: described.tensors,
    reader: {
      info: (name) => infos.get(name)!,
      readRows: (name, start, count) => file.readRows({ name, start, count }),
    },
  };
}

describe("a GGUF file", () => {
  it.each([
    "llama2-spm",
    "llama2-spm-yarn",
    "llama31-bpe",
    "qwen3moe",
    "phi3-long",
    "phi3-short",
    "cohere2",
    "granite",
    "deepseek2-lite",
    "gptneox",
    "smollm3",
    "olmo2",
    "bert",
  ])("is run as the checkpoint is that it was made from: %s", async (name) => {
    const given = forwardCase(name);
    const { tokens } = given;
    const expected = await runCase({ loaded: await loadCase(given), tokens });
    const actual = await runCase({ loaded: await asGguf(given), tokens });
    const largest = expected.output.reduce((size, value) => Math.max(size, Math.abs(value)), 0);
    const error = actual.output.reduce(
      (size, value, index) => Math.max(size, Math.abs(value - expected.output[index]!)),
      0,
    );
    expect(error / largest).toBeLessThan(1e-5);
  });
});
