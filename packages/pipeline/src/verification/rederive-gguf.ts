import { join } from "node:path";
import { ggmlType } from "@quern/gguf";
import type { GgufRecipe, Manifest, ManifestTensor } from "@quern/manifest";
import { closeThreads, compiledModule, runTasks, startThreads } from "@quern/threads";
import { foldPlan } from "../conversion/fold-plan.ts";
import { planSlabs } from "../conversion/plan-slabs.ts";
import type { BlockRounding } from "../layers/block-plan.ts";
import { writeBlocks } from "../layers/running/write-blocks.ts";
import type { ConversionPlan, PlannedTensor } from "../plan.ts";
import { planConversion } from "../planning/plan-conversion.ts";
import { requestOf, roundingOf } from "../provenance/gguf-recipe.ts";
import type { OutputRequest } from "../recipe.ts";
import { chooseTensors } from "./choose-tensors.ts";
import { compareBeginning } from "./compare-header.ts";
import { createService } from "./compare-service.ts";
import { FileComparer } from "./file-comparer.ts";
import type { Finding } from "./finding.ts";
import {
  Differences,
  missingCalibration,
  nothingAgain,
  otherTensor,
  type Rederivation,
  type RederiveParams,
} from "./rederivation.ts";

/** Makes files of GGUF again; see `rederive`. */
export async function rederiveGguf(params: RederiveParams, recipe: GgufRecipe): Promise<Rederivation> {
  const { manifest, folder, signal, onEvent } = params;
  const missing = missingCalibration(manifest, params.importance !== undefined);
  if (missing !== undefined && recipe.rounding?.transforms !== undefined) {
    // Transforms change norms, too.
    return nothingAgain(manifest, missing);
  }
  const plan = await planAgain(params, recipe, missing === undefined);
  const output = plan.outputs[0]!;
  const findings: Finding[] = [];
  if (missing === undefined) {
    for (const [index, { layout }] of output.files.entries()) {
      const { name: file } = manifest.files[index] ?? {};
      if (file === undefined) continue;
      findings.push(...(await compareBeginning({ folder, file, expected: layout.header, kind: "header" })));
    }
  }
  const planned = new Map(output.tensors.map((tensor) => [tensor.name, tensor]));
  const candidates = manifest.tensors.filter((tensor) => {
    const again = planned.get(tensor.name);
    if (again !== undefined && missing !== undefined) return isIndependent(again) && sameShape(again, tensor);
    if (again !== undefined && sameShape(again, tensor)) return true;
    findings.push(otherTensor(manifest, tensor, again && { type: again.type, shape: again.ne }));
    return false;
  });
  const { sample = 8, seed = 0 } = params;
  const chosen = sample === "all" ? candidates : chooseTensors({ tensors: candidates, count: sample, seed });
  const differences = new Differences(manifest);
  const bytes = chosen.reduce((sum, tensor) => sum + tensor.bytes, 0);
  let done = 0;
  await makeAgain({
    plan,
    paths: manifest.files.map(({ name }) => join(folder, name)),
    chosen: new Map(chosen.map((tensor) => [tensor.name, tensor])),
    signal: signal ?? new AbortController().signal,
    onDifference: (place) => differences.add(place),
    onBytes: (more, place) =>
      onEvent?.({ type: "progress", place, done: (done += more), total: Math.max(bytes, done) }),
  });
  const others = missing === undefined ? 0 : manifest.tensors.length - candidates.length;
  return {
    findings: [...findings, ...differences.findings()],
    headers: missing ?? true,
    tensors: chosen.map(({ name }) => name),
    bytes,
    ...(others === 0 ? {} : { others: { tensors: others, reason: missing! } }),
  };
}

function sameShape({ type, ne }: PlannedTensor, tensor: ManifestTensor): boolean {
  return type === tensor.type && ne.join() === tensor.shape.join();
}

/** Whether nothing that is known of inputs can count for its bytes. */
function isIndependent({ type, packed }: PlannedTensor): boolean {
  return packed || ggmlType(type).blockSize === 1;
}

/** The plan of the conversion that a manifest is of. @param known Whether what was known of inputs is. */
function planAgain(params: RederiveParams, recipe: GgufRecipe, known: boolean): Promise<ConversionPlan> {
  const { manifest, source, folder, importance, statistics, memory, threads, backend } = params;
  const request = requestOf(recipe);
  const rounding = known ? roundingOf(recipe) : undefined;
  const { preTokenizer } = recipe;
  return planConversion({
    checkpoint: source,
    outputs: [
      { ...(known ? request : withoutChoice(request, manifest)), path: join(folder, setName(manifest)) },
    ],
    provenance: {
      tool: manifest.tool,
      source: manifest.source,
      ...(manifest.calibration && { calibration: manifest.calibration }),
    },
    checkPlaces: false,
    ...(known && importance && { importance }),
    ...(rounding && { rounding: { ...rounding, ...(statistics && { statistics }) } }),
    ...(preTokenizer === undefined ? {} : { preTokenizer }),
    ...(memory === undefined ? {} : { memory }),
    ...(threads === undefined ? {} : { threads }),
    ...(backend === undefined ? {} : { backend }),
  });
}

/** The name under which an output was asked for. */
function setName({ files }: Manifest): string {
  return files[0]!.name.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/, "");
}

/**
 * A request whose types do not depend on what is known of inputs: tensors of floating-point numbers keep their type, all others get one
 * that anything can be had in, and are not looked at.
 */
function withoutChoice(request: OutputRequest, { tensors }: Manifest): OutputRequest {
  const { split: _split, outputTensorType: _output, tokenEmbeddingType: _embedding, ...rest } = request;
  const floats = tensors.filter(({ type }) => ggmlType(type).blockSize === 1);
  return {
    ...rest,
    type: "Q8_0",
    tensorTypes: floats.map(({ name, type }) => ({
      pattern: `^${name.toLowerCase().replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`,
      type,
    })),
  };
}

/** Makes the bytes of tensors, and compares them with those of files. */
async function makeAgain(params: {
  readonly plan: ConversionPlan;
  readonly paths: readonly string[];
  /** By name; where they lie in the files. */
  readonly chosen: ReadonlyMap<string, ManifestTensor>;
  readonly signal: AbortSignal;
  readonly onDifference: (place: { readonly file: number; readonly offset: number }) => void;
  readonly onBytes: (bytes: number, tensor: string) => void;
}): Promise<void> {
  const { paths, chosen, signal, onDifference, onBytes } = params;
  const plan = restrict(await foldPlan(params.plan, { signal }), chosen);
  const { slabs, count } = planSlabs(plan);
  const threads = await startThreads({
    count: Math.min(plan.resources.threads, count),
    createService,
    module: () => compiledModule("./compare-service.ts", import.meta.url),
    options: {
      shards: plan.checkpoint.shards,
      files: paths,
      ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    },
  });
  try {
    await runTasks({
      tasks: slabs,
      threads,
      lanes: plan.resources.slabsInFlight,
      signal,
      onDone: ({ name, rows, conversions }, differences) => {
        for (const difference of differences) onDifference(difference);
        onBytes(rows * conversions[0]!.rowSize, name);
      },
    });
  } finally {
    await closeThreads(threads);
  }
  if (plan.rounding === undefined || plan.rounding.stages.length === 0) return;
  const comparer = new FileComparer(paths);
  try {
    await writeBlocks({
      rounding: plan.rounding,
      shards: plan.checkpoint.shards,
      ...(plan.backend === undefined ? {} : { backend: plan.backend }),
      signal,
      measuresOutputs: false,
      files: paths.map((path) => ({ path, name: path })),
      async write(file, bytes, at) {
        const offset = await comparer.differenceAt(file, bytes, at);
        if (offset !== undefined) onDifference({ file, offset });
      },
      onRows: () => undefined,
      onWritten: ({ name }, bytes) => onBytes(bytes, name),
      onTensor: async () => undefined,
    });
  } finally {
    await comparer.close();
  }
}

/** A plan for some tensors alone, at the places that they have. Those that share inputs with one of them are made with it. */
function restrict(plan: ConversionPlan, chosen: ReadonlyMap<string, ManifestTensor>): ConversionPlan {
  const { rounding, hessians: _hessians, ...rest } = plan;
  const [output] = plan.outputs;
  const tensors = output!.tensors.flatMap((tensor): PlannedTensor[] => {
    const place = chosen.get(tensor.name);
    return place === undefined ? [] : [{ ...tensor, file: place.file, offset: place.offset }];
  });
  const files = output!.files;
  return {
    ...rest,
    outputs: [{ ...output!, files, tensors }],
    ...(rounding && { rounding: restrictRounding(plan, rounding, chosen) }),
  };
}

function restrictRounding(
  { tensors, outputs }: ConversionPlan,
  rounding: BlockRounding,
  chosen: ReadonlyMap<string, ManifestTensor>,
): BlockRounding {
  const planned = new Map(outputs[0]!.tensors.map((tensor) => [tensor.source, tensor]));
  const placeOf = (tensor: number): { from: PlannedTensor; to: ManifestTensor } | undefined => {
    const from = planned.get(tensors[tensor]!.name);
    const to = from && chosen.get(from.name);
    return from && to && { from, to };
  };
  return {
    ...rounding,
    stages: rounding.stages.flatMap((stage) => {
      const groups = stage.groups.flatMap((group) => {
        if (!group.layers.some(({ tensor }) => placeOf(tensor) !== undefined)) return [];
        // The others are made, and compared with nothing.
        const layers = group.layers.map((layer) => {
          const place = placeOf(layer.tensor);
          const targets =
            place === undefined
              ? []
              : layer.targets.map(({ offset }) => ({
                  file: place.to.file,
                  offset: offset - place.from.offset + place.to.offset,
                }));
          return { ...layer, targets };
        });
        return [{ ...group, layers }];
      });
      return groups.length === 0 ? [] : [{ ...stage, groups }];
    }),
  };
}
