import { describe, expect, it } from "vitest";
import { forwardCase, loadCase } from "../../testing/forward-case.ts";
import { referenceKernels } from "../../testing/reference-kernels.ts";
import { loadParameters } from "../load-parameters.ts";
import { planForward } from "../plan/plan-forward.ts";
import { embedTokens } from "./embed-tokens.ts";
import { evaluateBlock } from "./evaluate-block.ts";

describe("windows of several sequences", () => {
  it.each(["llama2-spm", "gpt2", "gemma2", "deepseek2-lite", "qwen3moe", "phi3-long", "bert", "gpt-oss"])(
    "of %s are computed as the sequences are",
    async (name) => {
      const given = forwardCase(name);
      const { model, tensors, reader } = await loadCase(given);
      const { embedding, blocks } = planForward(model);
      const block = blocks[0]!;
      const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
      const wanted = [...embedding.tensors, ...block.tensors];
      const parameters = await loadParameters({ tensors: byName, reader, names: wanted });
      const evaluation = { kernels: referenceKernels, parameters };
      const run = (tokens: readonly number[], starts?: readonly number[]): Float32Array => {
        const window = starts === undefined ? { tokens } : { tokens, starts };
        const hidden = embedTokens({ graph: embedding, evaluation, ...window });
        return evaluateBlock({
          graph: block,
          evaluation,
          hidden,
          tokens: tokens.length,
          ...(starts === undefined ? {} : { starts }),
        });
      };
      const { tokens } = given;
      const parts = [tokens.slice(0, 7), tokens.slice(7, 8), tokens.slice(8)];
      const apart = parts.flatMap((part) => [...run(part)]);
      expect([...run(tokens, [0, 7, 8])]).toEqual(apart);
    },
  );
});
