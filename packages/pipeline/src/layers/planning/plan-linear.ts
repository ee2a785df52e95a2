import { checkLayer, formatOf, type Layer, type QuantizedFormat } from "@quern/checkpoints";
import type { Kernels } from "@quern/kernels";
import { membersOf, refuseCombination, type Treatment, type TreatmentMembers } from "@quern/quantize";
import type { QuantizedLayer } from "@quern/recipes";
import { QuernError } from "@quern/tensor";
import { about } from "../about-tensor.ts";
import type { CheckpointLinear } from "../linear-layers.ts";
import type { InputNeeds, RowDivision } from "../plan.ts";

/** A layer that can be quantized as it was decided. */
export interface CheckedLinear {
  readonly linear: CheckpointLinear;
  readonly decision: QuantizedLayer;
  readonly layer: Layer;
  readonly division: RowDivision;
  readonly needs: InputNeeds;
  readonly prepares?: string;
  readonly sharesLargest?: string;
}

/**
 * Checks that a layer can be rounded and stored as it was decided.
 *
 * @throws QuernError `FORMAT_CANNOT_HOLD`, `FORMAT_READ_ONLY`, `FORMAT_UNKNOWN`, `QUANTIZE_UNKNOWN`, `QUANTIZE_OPTION`,
 * `QUANTIZE_COMBINATION`, all of which name the layer
 */
export function checkLinear(
  linear: CheckpointLinear,
  decision: QuantizedLayer,
  context: { readonly kernels: Kernels; readonly channels: boolean },
): CheckedLinear {
  const { module, rows, columns } = linear;
  const { parameters, treatment, guard, correctBias } = decision;
  const format = formatOf(decision.format);
  const layer = { rows, columns, parameters };
  checkSize(format, layer, module);
  const members = about(module, () => {
    const made = membersOf(treatment, context);
    return made.grid.usesLargest === true ? membersOf(withLargest(treatment, 1), context) : made;
  });
  const unit = members.grid.unitOf({ rows, columns });
  const flattened = format.flattened === true && columns % unit.columns !== 0;
  const needs = needsOf(members, {
    ...context,
    guard,
    correctBias: correctBias && linear.bias !== undefined,
  });
  const problem =
    flattened && (needs.hessian || needs.channels)
      ? `blocks of ${unit.columns} weights go on from row to row where there are ${columns} inputs, so that nothing that is known of inputs can be used`
      : refuseCombination({
          ...members,
          shape: flattened ? { rows: 1, columns: rows * columns } : { rows, columns },
        });
  if (problem !== undefined) throw refused(module, problem);
  const calibrated = parameters.activations === "static" && decision.activations !== undefined;
  const whole = flattened || members.grid.wholeMatrix === true || members.rounding.wholeMatrix === true;
  return {
    linear,
    decision,
    layer,
    division: { step: whole ? rows : Math.min(unit.rows, rows), flattened },
    needs: {
      ...needs,
      channels: needs.channels || parameters.activations === "static",
      heldOut: needs.heldOut || calibrated,
      histogram: calibrated,
    },
    ...preparation(treatment, members, linear),
    ...(members.grid.usesLargest && { sharesLargest: loadedAs(linear) }),
  };
}

/** Group sizes that are tried to be proposed. */
const GROUP_SIZES = [512, 256, 128, 64, 32, 16];

/** @throws QuernError `FORMAT_CANNOT_HOLD`, which says what the layer could be held in */
function checkSize(format: QuantizedFormat, layer: Layer, module: string): void {
  try {
    checkLayer(format, layer, module);
  } catch (cause) {
    const { parameters } = layer;
    if (!(cause instanceof QuernError) || typeof parameters.tile.columns !== "number") throw cause;
    const held = (columns: number | "all"): boolean =>
      format.problems({ ...layer, parameters: { ...parameters, tile: { rows: 1, columns } } }).length === 0;
    const sizes = GROUP_SIZES.filter((size) => layer.columns % size === 0 && held(size));
    const whole = held("all");
    const fitting = [
      ...(sizes.length > 0 ? [`groups of ${sizes.join(", ")}`] : []),
      ...(whole ? ["one scale for each output"] : []),
    ];
    const choices = `"unfit: keep"${whole ? ' or "unfit: channel"' : ""}`;
    throw new QuernError(
      cause.code,
      `${cause.message}; it fits ${fitting.length > 0 ? `in ${fitting.join(", or ")}` : "in no groups"}, and a recipe with ${choices} goes on without`,
      { subject: cause.subject, cause },
    );
  }
}

/** What layers that share what is made of a Hessian have in common. */
export function preparation(
  treatment: Treatment,
  { rounding, grid }: TreatmentMembers,
  shape: { readonly rows: number; readonly columns: number },
): { readonly prepares?: string } {
  if (rounding.prepare === undefined) return {};
  const unit = rounding.preparesByUnit === true ? grid.unitOf(shape).columns : undefined;
  return { prepares: JSON.stringify([treatment.rounding, unit]) };
}

function needsOf(
  { rounding, searchInHessian }: TreatmentMembers,
  context: { readonly channels: boolean; readonly guard: boolean; readonly correctBias: boolean },
): Omit<InputNeeds, "histogram"> {
  const { channels, guard, correctBias } = context;
  return {
    channels: channels || correctBias,
    hessian: rounding.needs.includes("hessian") || searchInHessian,
    cross: rounding.needs.includes("cross"),
    heldOut: guard || channels,
  };
}

/** The treatment with a grid for a largest magnitude: see `Grid.usesLargest`. */
export function withLargest(treatment: Treatment, largest: number): Treatment {
  const { grid } = treatment;
  return { ...treatment, grid: { ...grid, options: { ...grid.options, largest } } };
}

/** Layers that runtimes load as one, by role. */
const LOADED_AS: ReadonlyMap<string, string> = new Map([
  ["q", "qkv"],
  ["k", "qkv"],
  ["v", "qkv"],
  ["gate", "gate-up"],
  ["up", "gate-up"],
  ["shared-gate", "shared-gate-up"],
  ["shared-up", "shared-gate-up"],
  ["expert-gate", "expert-gate-up"],
  ["expert-up", "expert-gate-up"],
]);

/** The same for layers that runtimes load as one. */
export function loadedAs({ module, role, block, inputs }: CheckpointLinear): string {
  const family = LOADED_AS.get(role);
  return family === undefined ? module : `${block} ${family} ${inputs?.matrix ?? 0}`;
}

function refused(module: string, problem: string): QuernError {
  return new QuernError("QUANTIZE_COMBINATION", `"${module}": ${problem}`, { subject: { tensor: module } });
}
