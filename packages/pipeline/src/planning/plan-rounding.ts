import type { Kernels } from "@quern/kernels";
import { isGguf, type ModelDescription, type ModelTensor } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { LayeredModel } from "../layers/linear-layers.ts";
import type { ModelSource, PlannedOutput, PlanParams, RoundingRequest } from "../plan.ts";
import type { BlockRoundingPlan } from "./plan-block-rounding.ts";

/** What is rounded by inputs, and how long that takes. @returns undefined where nothing is */
export async function planRounding(context: {
  readonly params: PlanParams;
  readonly model: ModelDescription;
  readonly tensors: readonly ModelTensor[];
  readonly outputs: readonly PlannedOutput[];
  readonly kernels: Kernels;
  readonly threads: number;
}): Promise<(BlockRoundingPlan & { readonly seconds: number }) | undefined> {
  const { params, ...known } = context;
  const { checkpoint: source, rounding: request, measureErrors = false, memory } = params;
  if (request === undefined) return undefined;
  const { estimateRoundingSeconds, planBlockRounding } = await loadRounding();
  const planned = planBlockRounding({
    ...known,
    request,
    layered: await layeredFor(request, source),
    source,
    measuresOutputs: measureErrors,
    memory,
  });
  const { kernels } = known;
  return { ...planned, seconds: estimateRoundingSeconds({ kernels, rounding: planned.rounding }) };
}

/** What plans rounding by inputs is loaded only where that is asked for: most conversions round as ggml does. */
function loadRounding(): Promise<typeof import("./rounding.ts")> {
  return import("./rounding.ts");
}

/** The checkpoint as layers, where transforms are to be folded into it. */
async function layeredFor(
  { transforms = [] }: RoundingRequest,
  source: ModelSource,
): Promise<LayeredModel | undefined> {
  if (transforms.length === 0) return undefined;
  if (!isGguf(source)) return (await loadRounding()).openLayeredModel(source);
  throw new QuernError(
    "ROUNDING_TRANSFORM",
    "factors are folded into checkpoints: of GGUF it is not known which layers are divided by them",
    { subject: { key: "transforms" } },
  );
}
