import { z } from "zod";
import type { CheckpointOrigin } from "../manifest.ts";
import { isContainedPath } from "./contained-path.ts";

const text = z.string().min(1).max(4096);
const flag = z.boolean().optional();
const count = z.int().min(1).optional();
const size = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in lower-case hex");
const path = z
  .string()
  .max(4096)
  .refine(isContainedPath, "expected the relative path of a file, with forward slashes");
const jsonObject = z.record(z.string(), z.json());
const member = z.strictObject({ name: text, options: jsonObject.optional() });

const source = z.strictObject({
  kind: z.enum(["checkpoint", "gguf"]),
  name: text,
  repository: text.optional(),
  commit: z
    .string()
    .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "expected the full hash of a commit")
    .optional(),
  files: z.array(
    z.strictObject({
      name: path,
      bytes: size,
      sha256: sha256.optional(),
      headerSha256: sha256.optional(),
      gitHash: z
        .string()
        .regex(/^[0-9a-f]{40}$/)
        .optional(),
    }),
  ),
});

const checkpointRecipe = z.strictObject({
  container: z.literal("safetensors"),
  recipe: jsonObject,
  maxShardSize: z.number().gt(0).optional(),
});

const recipe = z.discriminatedUnion("container", [
  z.strictObject({
    container: z.literal("gguf"),
    type: text,
    flavour: z.enum(["converter", "quantizer"]),
    options: z.strictObject({
      intermediate: text.optional(),
      pure: flag,
      leaveOutputTensor: flag,
      outputTensorType: text.optional(),
      tokenEmbeddingType: text.optional(),
      tensorTypes: z.array(z.strictObject({ pattern: text, type: text })).optional(),
      allowRequantize: flag,
      pruneLayers: z.array(size).optional(),
      keepSplit: flag,
      split: z
        .strictObject({
          maxTensors: count,
          maxBytes: count,
          firstWithoutTensors: flag,
          fileOf: z.record(z.string(), size).optional(),
        })
        .optional(),
    }),
    metadata: z.array(z.strictObject({ key: text, type: text, value: z.json() })).optional(),
    preTokenizer: text.optional(),
    rounding: z.strictObject({ method: member, transforms: z.array(member).optional() }).optional(),
  }),
  checkpointRecipe,
]);

const calibration = z.strictObject({
  kind: z.enum(["importance", "statistics", "sequential"]),
  file: text.optional(),
  sha256: sha256.optional(),
  include: z.array(text).optional(),
  exclude: z.array(text).optional(),
});

const origin = {
  tool: z.strictObject({ name: text, version: text }),
  source,
  recipe,
  calibration: calibration.optional(),
};

/** What manifests say of the origin of a quantized checkpoint. */
export const CHECKPOINT_ORIGIN = z.strictObject({
  ...origin,
  recipe: checkpointRecipe,
}) as z.ZodType as z.ZodType<CheckpointOrigin>;

/** What the JSON of a manifest says, in the order in which it is written. */
export const MANIFEST: z.ZodType = z.strictObject({
  format: z.literal("quern-manifest"),
  version: z.literal(1),
  ...origin,
  kernels: text.optional(),
  files: z
    .array(
      z.strictObject({
        name: path,
        bytes: size,
        sha256,
        header: z.strictObject({ bytes: size, sha256 }).optional(),
      }),
    )
    .min(1),
  tensors: z.array(
    z.strictObject({
      name: z.string().max(4096),
      file: size,
      type: text,
      shape: z.array(size).max(64),
      offset: size,
      bytes: size,
      sha256,
      error: z.number().min(0).optional(),
    }),
  ),
});
