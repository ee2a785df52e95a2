import { basename } from "node:path";
import { sha256Of } from "@quern/tensor/node";
import type { ConversionPlan, PlannedFile, PlannedOutput } from "../plan.ts";
import { digestOf } from "./digest.ts";
import { importanceIdentity, type ImportanceIdentity } from "./importance-identity.ts";
import { sourceIdentity, type SourceIdentity } from "./source-identity.ts";

/** What is to be written to a file. */
export interface OutputFileIdentity {
  /** Without a path. */
  readonly name: string;
  readonly size: number;
  /** SHA-256 of everything in front of the tensors' data: metadata, and their table. */
  readonly header: string;
}

/** An output, told from others that could be made of the same weights. */
export interface OutputIdentity {
  /** Name of the recipe. */
  readonly type: string;
  readonly flavour: string;
  readonly intermediate?: string;
  readonly files: readonly OutputFileIdentity[];
  /** SHA-256 of how each tensor is made. */
  readonly tensors: string;
}

/** What rounding by inputs depends on. */
export interface RoundingIdentity {
  /** "awq+gptq" */
  readonly name: string;
  /** SHA-256 of methods and their options. */
  readonly methods: string;
  /** What tells the inputs from others; absent where that is not known. */
  readonly inputs?: string;
  /** Sums of products are those of the kernels: "native avx512". */
  readonly kernels: string;
}

/** What is measured on the way. */
export interface MeasurementIdentity {
  readonly all: boolean;
  /** With the Hessians of a statistics file: its name, without a path, and the kernels. */
  readonly hessians?: string;
}

/**
 * Everything that decides about the bytes of a conversion. Plain data; it names no folder of the machine, and holds no secret. Conversions
 * with the same identity write the same files, whatever threads and memory they have.
 */
export interface ConversionIdentity {
  /** "quern 1.0.0" */
  readonly tool: string;
  readonly source: SourceIdentity;
  readonly outputs: readonly OutputIdentity[];
  readonly importance?: ImportanceIdentity;
  readonly rounding?: RoundingIdentity;
  readonly measured: MeasurementIdentity;
  /** SHA-256 of each part, by which differences are told. */
  readonly digests: Readonly<Record<IdentityPart, string>>;
}

type PlanWithoutIdentity = Omit<ConversionPlan, "identity" | "networkBytesLeft">;

/** A part of what a conversion depends on; in the order in which differences are looked for. */
export const IDENTITY_PARTS = ["tool", "source", "recipe", "importance", "rounding", "measured"] as const;

export type IdentityPart = (typeof IDENTITY_PARTS)[number];

/**
 * Finds out what a conversion depends on: of the source its tables of tensors, sizes and times or etags, of an importance matrix its
 * weights, of each output its header and how tensors are made.
 *
 * @throws QuernError `SOURCE_NOT_FOUND` for a file that is gone, and what reading importance weights and statistics throws
 */
export async function conversionIdentity(plan: PlanWithoutIdentity): Promise<ConversionIdentity> {
  const { tool, importance } = plan;
  const source = await sourceIdentity(plan.checkpoint);
  const outputs = plan.outputs.map(outputIdentity);
  const weights = importance === undefined ? undefined : await importanceIdentity(importance);
  const rounding = await roundingIdentity(plan);
  const measured = measurementIdentity(plan);
  return {
    tool,
    source,
    outputs,
    ...(weights && { importance: weights }),
    ...(rounding && { rounding }),
    measured,
    digests: {
      tool: digestOf(tool),
      source: digestOf(source),
      recipe: digestOf([outputs, plan.tensors.map(({ name, expression }) => [name, expression])]),
      importance: digestOf(weights ?? null),
      rounding: digestOf(rounding ?? null),
      measured: digestOf(measured),
    },
  };
}

/** The first part in which two conversions differ; undefined where they are the same. */
export function differingPart(
  one: Pick<ConversionIdentity, "digests">,
  other: Pick<ConversionIdentity, "digests">,
): IdentityPart | undefined {
  return IDENTITY_PARTS.find((part) => one.digests[part] !== other.digests[part]);
}

function outputIdentity({ type, flavour, intermediate, files, tensors }: PlannedOutput): OutputIdentity {
  const made = tensors.map(({ name, source, file, type, via, packed, usesImportance, rounding, offset }) => {
    return [name, source, file, type, via ?? null, packed, usesImportance, rounding ?? null, offset];
  });
  return {
    type,
    flavour,
    ...(intermediate === undefined ? {} : { intermediate }),
    files: files.map(fileIdentity),
    tensors: digestOf(made),
  };
}

function fileIdentity({ path, fileSize, layout }: PlannedFile): OutputFileIdentity {
  return { name: basename(path), size: fileSize, header: sha256Of(layout.header) };
}

async function roundingIdentity({
  rounding,
  kernels,
}: PlanWithoutIdentity): Promise<RoundingIdentity | undefined> {
  if (rounding === undefined) return undefined;
  const { name, transforms, stages, inputs } = rounding;
  const decisions = stages.flatMap(({ groups }) =>
    groups.flatMap(({ layers }) =>
      layers.map(({ name: tensor, matrix, type, decision }) => [tensor, matrix, type, decision]),
    ),
  );
  const known = await inputs.identity?.();
  return {
    name: [...transforms.map((transform) => transform.name), name].join("+"),
    methods: digestOf([transforms, decisions]),
    ...(known === undefined ? {} : { inputs: known }),
    kernels: `${kernels.backend} ${kernels.isa}`,
  };
}

function measurementIdentity({
  measuresErrors,
  hessians,
  kernels,
}: PlanWithoutIdentity): MeasurementIdentity {
  if (hessians === undefined) return { all: measuresErrors };
  return {
    all: measuresErrors,
    hessians: `${basename(hessians.path)} ${kernels.backend} ${kernels.isa}`,
  };
}
