import { FOLDER_MANIFEST, type ManifestOrigin } from "@quern/manifest";
import type { LayerResultFigures } from "../layers/events.ts";
import type { CheckpointPlan } from "../layers/plan.ts";
import type { PartialFolder } from "../layers/running/partial-folder.ts";
import { type HashedFile, hashOutputs } from "./hash-outputs.ts";

/** Made for people, who may add to it: programs compute nothing from it. */
const CARD = "README.md";

/**
 * The manifest of a folder whose other files are complete, as a file.
 *
 * @param params.written Files beside those of weights; the model card is left out.
 * @throws the reason of the signal; QuernError `SOURCE_*`
 */
export async function folderManifest(params: {
  readonly folder: Pick<PartialFolder, "pathOf">;
  readonly plan: CheckpointPlan;
  readonly origin: ManifestOrigin;
  /** That have run. */
  readonly kernels: string;
  readonly layers: readonly LayerResultFigures[];
  readonly written: readonly { readonly name: string }[];
  readonly signal?: AbortSignal;
}): Promise<{ readonly name: string; readonly bytes: Uint8Array }> {
  const { folder, plan, origin, kernels, layers, written, signal } = params;
  const errors = errorsByTensor(plan, layers);
  const files = [
    ...plan.checkpoint.shards.shards.map(({ fileName: name, layout }): HashedFile => ({
      name,
      path: folder.pathOf(name),
      headerBytes: layout.header.byteLength,
      tensors: [...layout.tensors]
        .map(([tensor, { info, offset, size: bytes }]) => {
          const error = errors.get(tensor);
          const { type, shape } = info;
          return { name: tensor, type, shape, offset, bytes, ...(error === undefined ? {} : { error }) };
        })
        .toSorted((a, b) => a.offset - b.offset),
    })),
    ...written
      .filter(({ name }) => name !== CARD)
      .map(({ name }): HashedFile => ({ name, path: folder.pathOf(name), tensors: [] })),
  ];
  const hashes = await hashOutputs({ files, ...(signal && { signal }) });
  // Most conversions write no manifest: its schema is not loaded then.
  const { manifestText } = await import("@quern/manifest/file");
  const text = manifestText({ ...origin, ...(plan.inputs && { kernels }), ...hashes });
  return { name: FOLDER_MANIFEST, bytes: new TextEncoder().encode(text) };
}

/** The error of a layer stands with the first of its tensors. */
function errorsByTensor(plan: CheckpointPlan, layers: readonly LayerResultFigures[]): Map<string, number> {
  const planned = plan.stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers));
  const errors = new Map(layers.map(({ module, relativeError }) => [module, relativeError]));
  return new Map(
    planned.flatMap(({ linear: { module }, targets }): [string, number][] => {
      const [suffix] = targets.keys();
      const error = errors.get(module);
      return suffix === undefined || error === undefined ? [] : [[`${module}${suffix}`, error]];
    }),
  );
}
