import { z } from "zod";
import { sharedPath, type SharedPath } from "./shared-path.ts";

/** A repository at a commit ("hf:owner/name@commit"), or a folder or file. */
export type SharedModel = { readonly repository: string } | { readonly path: SharedPath };

export const sharedModel: z.ZodType<SharedModel> = z.union([
  z.strictObject({ repository: z.string().startsWith("hf:") }),
  z.strictObject({ path: sharedPath }),
]);
