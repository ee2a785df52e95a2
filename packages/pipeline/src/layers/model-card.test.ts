import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LayerParameters } from "@quern/checkpoints";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { modelCard } from "./model-card.ts";
import type { CheckpointProvenance } from "./plan.ts";
import { planCheckpoint } from "./planning/plan-checkpoint.ts";
import { goldenModel, recipeFor } from "./testing/checkpoints.ts";

const folder = await mkdtemp(join(tmpdir(), "cards-"));
afterAll(() => rm(folder, { recursive: true }));

const model = await goldenModel("llama2-spm");
const W4: LayerParameters = {
  bits: 4,
  tile: { rows: 1, columns: 64 },
  symmetric: false,
  scaleType: "BF16",
};

/** Of a plan; no layer was rounded. */
async function cardOf(
  format: string,
  parameters: LayerParameters,
  source?: string,
  provenance?: CheckpointProvenance,
): Promise<{ metadata: unknown; body: string }> {
  const plan = await planCheckpoint({
    model,
    recipe: recipeFor(model, { format, parameters }),
    recipeName: "test",
    output: join(folder, "output"),
    threads: 0,
    tool: "tests:1",
    baseModel: "org/model",
    publishedAs: "me/model",
    ...(provenance && { provenance }),
  });
  const card = modelCard({ plan, layers: [], ...(source === undefined ? {} : { source }) });
  const [, matter, body] = card.split("---\n");
  return { metadata: parse(matter!), body: body! };
}

describe("the card of a quantized checkpoint", () => {
  it("names the commit and the statistics that it was made of, as the manifest does", async () => {
    const { body } = await cardOf("mlx", W4, undefined, {
      tool: { name: "tests", version: "1" },
      recipe: {},
      source: {
        kind: "checkpoint",
        name: `hf:org/model@${"a".repeat(40)}`,
        repository: "org/model",
        commit: "a".repeat(40),
        files: [],
      },
      calibration: { kind: "statistics", file: "mine.safetensors", sha256: "b".repeat(64) },
    });
    const tree = `https://huggingface.co/org/model/tree/${"a".repeat(40)}`;
    expect(body).toContain(`| Source | [org/model](${tree}) at commit \`${"a".repeat(40)}\` |`);
    expect(body).toContain("| Statistics | `mine.safetensors` |");
    expect((await cardOf("mlx", W4)).body).not.toMatch(/\| (?:Source|Statistics) \|/);
  });

  it("is found among those for MLX", async () => {
    const source =
      "---\nlicense: other\nlicense_name: mine\nlicense_link: LICENSE\ntags: [chat, pytorch]\n---\n";
    const { metadata, body } = await cardOf("mlx", W4, source);
    expect(metadata).toEqual({
      base_model: "org/model",
      base_model_relation: "quantized",
      library_name: "mlx",
      pipeline_tag: "text-generation",
      license: "other",
      license_name: "mine",
      license_link: "https://huggingface.co/org/model/blob/main/LICENSE",
      tags: ["mlx", "4-bit", "quantized", "chat", "pytorch"],
    });
    expect(body).toContain("mlx_lm.generate --model me/model");
    expect(body).not.toMatch(/vllm|transformers/);
  });

  it("has commands for what loads all of its layers", async () => {
    const packed = await cardOf("pack-quantized", { ...W4, symmetric: true });
    expect(packed.metadata).toMatchObject({
      library_name: "transformers",
      tags: ["compressed-tensors", "4-bit", "quantized"],
    });
    expect(packed.body).toContain("vllm serve me/model");
    expect(packed.body).toContain('AutoModelForCausalLM.from_pretrained("me/model"');
    // vLLM has kernels for 4 and 8 bits.
    const three = await cardOf("pack-quantized", { ...W4, bits: 3 });
    expect(three.body).toContain("AutoModelForCausalLM");
    expect(three.body).not.toMatch(/vllm|sglang/);
    const awq = await cardOf("awq", { ...W4, scaleType: "F16" });
    expect(awq.body).not.toContain("mlx_lm");
    const eight = { rows: 1, columns: "all" } as const;
    const int8 = await cardOf("bnb-int8", { ...W4, bits: 8, tile: eight, symmetric: true, scaleType: "F32" });
    expect(int8.metadata).toMatchObject({ tags: ["bitsandbytes", "8-bit", "quantized"] });
  });
});
