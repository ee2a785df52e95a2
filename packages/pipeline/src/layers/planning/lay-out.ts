import { resolve } from "node:path";
import { planQuantizedCheckpoint, type QuantizedCheckpointPlan } from "@quern/checkpoints";
import type { ManifestOrigin } from "@quern/manifest";
import { originPairs } from "../../provenance/provenance-metadata.ts";
import type { PlanCheckpointParams } from "../plan.ts";
import { checkOutputFolder, type OutputFolder } from "./output-folder.ts";
import { storedTensors } from "./plan-copies.ts";
import type { CheckedLinear } from "./plan-linear.ts";
import { type PlannedRotation, untiedConfig } from "./plan-rotation.ts";
import { pathsOf, smallFiles } from "./planned-files.ts";

/** A layer as its format stores it. */
interface StoredLayer extends Pick<CheckedLinear["decision"], "format" | "parameters"> {
  readonly module: string;
  readonly shape: { readonly rows: number; readonly columns: number };
  readonly expert: boolean;
}

export function storedLayer({ linear, decision }: CheckedLinear): StoredLayer {
  const { module, rows, columns, expert } = linear;
  const { format, parameters } = decision;
  return { module, format, parameters, shape: { rows, columns }, expert };
}

/** Finds out which files there will be, and where tensors are in them. @throws QuernError the codes of `planQuantizedCheckpoint` */
export function layOut(context: {
  readonly params: PlanCheckpointParams;
  readonly layers: readonly CheckedLinear[];
  readonly rotation: PlannedRotation | undefined;
  readonly origin: ManifestOrigin | undefined;
}): QuantizedCheckpointPlan {
  const { params, layers, rotation, origin } = context;
  const { model, tool: quantizer, maxShardSize } = params;
  const { untied } = rotation ?? {};
  const modules = model.linears.map(({ module }) => module);
  return planQuantizedCheckpoint({
    config: untied ? untiedConfig(model.config) : model.config,
    tensors: storedTensors(model, { layers, output: untied?.info }),
    layers: layers.map(({ linear: { module }, decision: { format, parameters } }) => {
      return { module, format, parameters };
    }),
    stacks: model.stacks,
    linears: untied ? [...new Set([...modules, untied.module])] : modules,
    paths: pathsOf(model),
    quantizer,
    ...(origin && { metadata: originPairs(origin) }),
    ...(maxShardSize === undefined ? {} : { maxShardSize }),
  });
}

/** Checks the place of the folder, unless nothing is written. @throws QuernError the codes of `checkOutputFolder` */
export async function placeFolder(
  params: PlanCheckpointParams,
  checkpoint: QuantizedCheckpointPlan,
): Promise<OutputFolder> {
  const { model, output, force = false, restart = false, checkPlaces = true } = params;
  if (!checkPlaces) return { path: resolve(output), replaces: false };
  const shards = checkpoint.shards.shards.map(({ fileName: name, layout }) => ({
    name,
    size: layout.fileSize,
  }));
  return checkOutputFolder({
    output,
    files: [...shards, ...smallFiles(model, checkpoint)],
    source: model.checkpoint.folder,
    force,
    restart,
  });
}
