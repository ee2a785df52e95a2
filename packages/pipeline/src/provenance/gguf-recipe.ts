import type { GgufDivision } from "@quern/gguf";
import type { GgufOptions, GgufRecipe, ManifestMember } from "@quern/manifest";
import type { PlanParams } from "../plan.ts";
import type { Flavour, IntermediateType, OutputRequest } from "../recipe.ts";
import { metadataFromJson, metadataToJson } from "./metadata-json.ts";

/** What an output was asked for, as data. @param params.type, params.flavour As they were resolved. */
export function ggufRecipe(params: {
  readonly request: OutputRequest;
  readonly type: string;
  readonly flavour: Flavour;
  readonly preTokenizer: string | undefined;
  readonly rounding: PlanParams["rounding"];
}): GgufRecipe {
  const { request, type, flavour, preTokenizer, rounding } = params;
  const { type: _type, path: _path, flavour: _flavour, metadata, split, ...options } = request;
  return {
    container: "gguf",
    type,
    flavour,
    options: { ...options, ...(split === undefined ? {} : { split: divisionToJson(split) }) },
    ...(metadata === undefined ? {} : { metadata: metadataToJson(metadata) }),
    ...(preTokenizer === undefined ? {} : { preTokenizer }),
    ...(rounding && {
      rounding: {
        method: rounding.method as ManifestMember,
        ...(rounding.transforms && { transforms: rounding.transforms as readonly ManifestMember[] }),
      },
    }),
  };
}

/** The request that a recipe was made of. @throws QuernError `MANIFEST_INVALID` */
export function requestOf(recipe: GgufRecipe): OutputRequest {
  const { type, flavour, metadata, options } = recipe;
  const { intermediate, split, ...rest } = options;
  return {
    ...rest,
    type,
    flavour: flavour as Flavour,
    ...(intermediate === undefined ? {} : { intermediate: intermediate as IntermediateType }),
    ...(split === undefined ? {} : { split: divisionFromJson(split) }),
    ...(metadata === undefined ? {} : { metadata: metadataFromJson(metadata) }),
  };
}

/** How layers were rounded by what is known of their inputs. */
export function roundingOf({
  rounding,
}: GgufRecipe): Pick<NonNullable<PlanParams["rounding"]>, "method" | "transforms"> | undefined {
  if (rounding === undefined) return undefined;
  const { method, transforms } = rounding;
  return {
    method,
    ...(transforms && { transforms }),
  };
}

function divisionToJson(division: GgufDivision): NonNullable<GgufOptions["split"]> {
  return "fileOf" in division ? { fileOf: Object.fromEntries(division.fileOf) } : division;
}

function divisionFromJson({ fileOf, ...limits }: NonNullable<GgufOptions["split"]>): GgufDivision {
  return fileOf === undefined ? (limits as GgufDivision) : { fileOf: new Map(Object.entries(fileOf)) };
}
