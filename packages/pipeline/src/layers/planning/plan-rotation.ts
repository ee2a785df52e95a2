import { describeRotations, type ModelRotations, type OmittedFolding } from "@quern/models";
import { findMember, type MemberSpec, type RotationTransform, TRANSFORMS } from "@quern/quantize";
import { QuernError, type TensorInfo } from "@quern/tensor";
import { listNames } from "../../name-list.ts";
import type { LayeredModel } from "../linear-layers.ts";
import type { Weights } from "../tasks/weights.ts";
import type { CheckedLinear } from "./plan-linear.ts";
import { weightsOf } from "./weights-of.ts";

const REASONS = 2;

/** Where transformers has the embedding and the output of the families whose hidden states can be rotated. */
const EMBEDDING = "model.embed_tokens.weight";
const OUTPUT = "lm_head";

/** How a model is rotated before its layers are rounded. */
export interface PlannedRotation {
  readonly rotations: Pick<ModelRotations, "residual" | "heads">;
  readonly seed: number;
  /** Weights of norms that go into what reads them. */
  readonly gains: readonly Weights[];
  /** Tensors that are rotated by rows, so that none of these can be had without all. */
  readonly whole: ReadonlySet<string>;
  /** Blocks that change. */
  readonly blocks: ReadonlySet<number>;
  /** An output that was the embedding and becomes a layer of its own. */
  readonly untied?: { readonly module: string; readonly info: TensorInfo; readonly embedding: Weights };
}

/**
 * The rotation that a recipe wants, if it wants one.
 *
 * @throws QuernError `PLAN_ROTATION_IMPOSSIBLE` where the model cannot be rotated, with the reason, or inputs have stored scales;
 * `PLAN_TRANSFORMS_TOGETHER` for other transforms beside it
 */
export function planRotation(params: {
  readonly model: LayeredModel;
  readonly transforms: readonly MemberSpec[];
  readonly layers: readonly CheckedLinear[];
}): PlannedRotation | undefined {
  const { model, transforms, layers } = params;
  const wanted = transforms.map(rotationOf).find((transform) => transform !== undefined);
  if (wanted === undefined) return undefined;
  if (transforms.length > 1) {
    throw new QuernError(
      "PLAN_TRANSFORMS_TOGETHER",
      `${transforms.map(({ name }) => name).join(" and ")}: factors are chosen by what columns of inputs are, which rotations even out; take one of them`,
    );
  }
  const fixed = layers.find(({ layer }) => layer.parameters.activations === "static");
  if (fixed !== undefined) {
    throw impossible(
      `"${fixed.linear.module}" would have its inputs quantized with a stored scale, but how large inputs become when they are rotated is not known; take dynamic ones`,
    );
  }
  const { rotates } = wanted;
  const found = describeRotations({
    description: model.description,
    tensors: new Map([...model.tensors].map(([name, { info }]) => [name, info])),
  });
  const residual = rotates.hiddenStates ? found.residual : undefined;
  const heads = rotates.values ? found.heads : [];
  if (rotates.hiddenStates && residual === undefined) {
    throw impossible(
      `hidden states: ${reasons(found.omitted.filter(({ layer }) => layer === undefined))} (option r1)`,
    );
  }
  const without = found.omitted.filter(({ layer }) => layer !== undefined);
  if (rotates.values && (heads.length === 0 || without.length > 0)) {
    throw impossible(`values of heads: ${reasons(without.length > 0 ? without : found.omitted)} (option r2)`);
  }
  const tied = residual?.tied;
  const norms = [...(residual?.norms ?? []), ...(tied === undefined ? [] : [tied.norm])];
  const all = new Set(model.linears.flatMap(({ block }) => block ?? []));
  return {
    rotations: { ...(residual && { residual }), heads },
    seed: rotates.seed,
    gains: norms.map(({ tensor }) => weightsOf(model, tensor)),
    whole: new Set((residual?.parts ?? []).flatMap(({ tensor, axis }) => (axis === "rows" ? [tensor] : []))),
    blocks: residual === undefined ? new Set(heads.map(({ layer }) => layer)) : all,
    ...(tied && { untied: untiedOf(model, tied.embedding) }),
  };
}

/** config.json of a model whose output is no longer its embedding. */
export function untiedConfig(config: LayeredModel["config"]): LayeredModel["config"] {
  const key = "tie_word_embeddings";
  const text = config["text_config"];
  const nested = typeof text === "object" && text !== null && key in text;
  return { ...config, [key]: false, ...(nested && { text_config: { ...text, [key]: false } }) };
}

/** What a transform rotates; undefined for one that chooses factors. */
export function rotationOf({ name, options = {} }: MemberSpec): RotationTransform | undefined {
  const made = (findMember(TRANSFORMS, name) as (options: object) => object)(options);
  return "rotates" in made ? (made as RotationTransform) : undefined;
}

function untiedOf(model: LayeredModel, tensor: string): NonNullable<PlannedRotation["untied"]> {
  if (tensor !== EMBEDDING) {
    throw impossible(
      `the output is the embedding "${tensor}" and would become a layer of its own: expected "${EMBEDDING}", beside which that is "${OUTPUT}" (option r1)`,
    );
  }
  const { info, quantized } = model.tensors.get(tensor)!;
  return {
    module: OUTPUT,
    info: { ...info, name: `${OUTPUT}.weight`, type: quantized ? model.dtype : info.type },
    embedding: weightsOf(model, tensor),
  };
}

function reasons(omitted: readonly OmittedFolding[]): string {
  return listNames([...new Set(omitted.map(({ reason }) => reason))], REASONS);
}

function impossible(problem: string): QuernError {
  return new QuernError("PLAN_ROTATION_IMPOSSIBLE", `the model cannot be rotated: ${problem}`);
}
