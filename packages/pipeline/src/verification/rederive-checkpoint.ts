import { join } from "node:path";
import type { CheckpointRecipe, Manifest, ManifestTensor } from "@quern/manifest";
import { isGguf } from "@quern/models";
import { QuernError } from "@quern/tensor";
import { closeThreads, compiledModule, startThreads, taskQueue } from "@quern/threads";
import { createService } from "../layers/node/layer-service.ts";
import type { CheckpointPlan, PlannedCopy, PlannedLinear } from "../layers/plan.ts";
import { planCheckpointAgain } from "../layers/planning/plan-checkpoint-again.ts";
import { writeTensors } from "../layers/running/write-tensors.ts";
import type { Target } from "../layers/tasks/target.ts";
import { chooseTensors } from "./choose-tensors.ts";
import { compareBeginning } from "./compare-header.ts";
import { differenceOf } from "./file-comparer.ts";
import type { Finding } from "./finding.ts";
import {
  Differences,
  missingCalibration,
  nothingAgain,
  otherTensor,
  type Rederivation,
  type RederiveParams,
} from "./rederivation.ts";

/** Makes the folder of a quantized checkpoint again; see `rederive`. */
export async function rederiveCheckpoint(
  params: RederiveParams,
  recipe: CheckpointRecipe,
): Promise<Rederivation> {
  const { manifest, folder, statistics, sample = 8, seed = 0 } = params;
  const missing = missingCalibration(manifest, statistics !== undefined);
  if (missing !== undefined) return nothingAgain(manifest, missing);
  const plan = await planAgain(params, recipe);
  const findings: Finding[] = [];
  for (const { file, expected, kind } of await wholeFiles(plan)) {
    findings.push(...(await compareBeginning({ folder, file, expected, kind })));
  }
  const planned = new Map(
    plan.checkpoint.shards.shards.flatMap(({ layout }) =>
      [...layout.tensors].map(([name, { info }]) => [name, info] as const),
    ),
  );
  const candidates = manifest.tensors.filter((tensor) => {
    const again = planned.get(tensor.name);
    if (again?.type === tensor.type && again.shape.join() === tensor.shape.join()) return true;
    findings.push(otherTensor(manifest, tensor, again));
    return false;
  });
  const chosen = sample === "all" ? candidates : chooseTensors({ tensors: candidates, count: sample, seed });
  const differences = new Differences(manifest);
  await makeAgain(params, restrict(plan, manifest, chosen), differences);
  return {
    findings: [...findings, ...differences.findings()],
    headers: true,
    tensors: chosen.map(({ name }) => name),
    bytes: chosen.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** @throws QuernError `VERIFICATION_SOURCE`, and the codes of `planCheckpointAgain` */
async function planAgain(params: RederiveParams, recipe: CheckpointRecipe): Promise<CheckpointPlan> {
  const { manifest, source, folder, statistics, memory, threads, backend } = params;
  if (isGguf(source)) {
    throw new QuernError("VERIFICATION_SOURCE", "checkpoints are made of checkpoints, and this is GGUF");
  }
  return planCheckpointAgain({
    origin: { ...manifest, recipe },
    source,
    folder,
    ...(statistics && { statistics }),
    ...(memory === undefined ? {} : { memory }),
    ...(threads === undefined ? {} : { threads }),
    ...(backend === undefined ? {} : { backend }),
  });
}

/** What is known of files without making tensors: headers, and files that are written or copied whole. */
async function wholeFiles({
  checkpoint,
  model,
}: CheckpointPlan): Promise<{ file: string; expected: Uint8Array; kind: "header" | "content" }[]> {
  const copies = await Promise.all(
    checkpoint.copies.map(async (name) => [name, await model.checkpoint.files.read(name)] as const),
  );
  return [
    ...checkpoint.shards.shards.map(({ fileName: file, layout }) => ({
      file,
      expected: layout.header,
      kind: "header" as const,
    })),
    ...[...checkpoint.files, ...copies].flatMap(([file, expected]) =>
      expected === undefined ? [] : [{ file, expected, kind: "content" as const }],
    ),
  ];
}

/** A plan for some tensors alone, at the places that they have. Layers are made with those that share their inputs. */
function restrict(
  plan: CheckpointPlan,
  manifest: Manifest,
  chosen: readonly ManifestTensor[],
): CheckpointPlan {
  const wanted = new Set(chosen.map(({ name }) => name));
  const places = new Map(manifest.tensors.map(({ name, file, offset }) => [name, { file, offset }]));
  const planned = plannedTensors(plan);
  const nameOf = (target: Target): string => planned(target).name;
  const moved = (target: Target): Target => {
    const { name, offset } = planned(target);
    const place = places.get(name);
    return place ? { ...place, offset: place.offset + target.offset - offset } : target;
  };
  const movedCopy = (copy: PlannedCopy): PlannedCopy => ({ ...copy, target: moved(copy.target) });
  const tensorsOf = ({ targets, bias }: PlannedLinear): string[] =>
    [...targets.values(), ...(bias ? [bias.target] : [])].map(nameOf);
  const stages = plan.stages.flatMap((stage) => {
    const groups = stage.groups.flatMap((group) => {
      if (!group.layers.some((layer) => tensorsOf(layer).some((name) => wanted.has(name)))) return [];
      const layers = group.layers.map((layer) => ({
        ...layer,
        targets: new Map([...layer.targets].map(([suffix, target]) => [suffix, moved(target)])),
        ...(layer.bias && { bias: movedCopy(layer.bias) }),
      }));
      return [{ ...group, layers }];
    });
    return groups.length === 0 ? [] : [{ ...stage, groups }];
  });
  const { untied, ...rest } = plan;
  const movedUntied = untied && movedCopy(untied);
  const copies = plan.copies
    .filter(({ target }) => wanted.has(nameOf(target)))
    .map((copy) => (copy === untied ? movedUntied! : movedCopy(copy)));
  const weights = [...stages.flatMap(({ groups }) => groups.flatMap(({ layers }) => layers)), ...copies].map(
    (one) => one.weights,
  );
  return {
    ...rest,
    ...(movedUntied && { untied: movedUntied }),
    stages,
    copies,
    parameters: weights.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
  };
}

/** The tensor of a plan in which a place lies. */
function plannedTensors({
  checkpoint,
}: CheckpointPlan): (target: Target) => { readonly name: string; readonly offset: number } {
  const files = checkpoint.shards.shards.map(({ layout }) =>
    [...layout.tensors]
      .map(([name, { offset }]) => ({ name, offset }))
      .sort((one, other) => one.offset - other.offset),
  );
  return ({ file, offset }) => {
    const tensors = files[file]!;
    let [low, high] = [0, tensors.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (tensors[middle]!.offset <= offset) low = middle;
      else high = middle - 1;
    }
    return tensors[low]!;
  };
}

async function makeAgain(
  { manifest, folder, signal, onEvent }: RederiveParams,
  plan: CheckpointPlan,
  differences: Differences,
): Promise<void> {
  const threads = await startThreads({
    count: plan.resources.threads,
    createService,
    module: () => compiledModule("../layers/node/layer-service.ts", import.meta.url),
    options: {
      shards: plan.model.checkpoint.shards,
      files: plan.checkpoint.shards.shards.map((_, index) => {
        const path = join(folder, manifest.files[index]!.name);
        return { path, name: path };
      }),
      compares: true,
      ...(plan.backend === undefined ? {} : { backend: plan.backend }),
    },
  });
  try {
    await writeTensors({
      plan,
      ...(signal && { signal }),
      onEvent: (event) => {
        if (event.type !== "progress") return;
        const { tensor: place, done, total } = event;
        onEvent?.({ type: "progress", place, done, total });
      },
      queueWith: (stop) => {
        const queue = taskQueue({ threads, signal: stop });
        return {
          run: (task) =>
            queue.run(task).catch((error: unknown) => {
              const place = differenceOf(error);
              if (place === undefined) throw error;
              differences.add(place);
              return 0;
            }),
        };
      },
    });
  } finally {
    await closeThreads(threads);
  }
}
