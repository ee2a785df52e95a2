import { forwardModel, linearInputs, type LinearInputs, outputInputs, planForward } from "@quern/models";
import { QuernError } from "@quern/tensor";
import type { LayeredModel } from "../linear-layers.ts";
import { type CheckedLinear, loadedAs } from "./plan-linear.ts";

/** Layers that read the same inputs, by the name under which these are known. */
export interface LinearGroup {
  readonly inputs?: { readonly module: string; readonly matrix: number };
  readonly layers: readonly CheckedLinear[];
}

/** Groups of which none depends on another. */
export interface LinearStage {
  readonly block?: number;
  readonly name: string;
  readonly groups: readonly LinearGroup[];
}

/**
 * Layers in the order of the computation. Where it is not known how the model computes, it is the order of the blocks, and inputs have no
 * names.
 *
 * @param params.needsInputs Whether it has to be known.
 * @throws QuernError the codes of `forwardModel` and `planForward`, where it has to be known
 */
export function linearStages(params: {
  readonly model: LayeredModel;
  readonly layers: readonly CheckedLinear[];
  readonly needsInputs: boolean;
}): LinearStage[] {
  const { layers } = params;
  const computed = inComputedOrder(params);
  const placed = new Set(computed.flatMap(({ groups }) => groups.flatMap((group) => group.layers)));
  const others = inOrderOfNames(layers.filter((layer) => !placed.has(layer)));
  const all = [...computed, ...others];
  // Sorting is stable: within a block, the order stays.
  return all.sort((a, b) => (a.block ?? Infinity) - (b.block ?? Infinity) || 0);
}

function inComputedOrder({
  model,
  layers,
  needsInputs,
}: {
  readonly model: LayeredModel;
  readonly layers: readonly CheckedLinear[];
  readonly needsInputs: boolean;
}): LinearStage[] {
  const places = inputsOf(model, needsInputs);
  return places.flatMap(({ block, inputs }): LinearStage[] => {
    const modules = new Set(inputs.modules);
    const reading = layers.filter(({ linear }) => linear.inputs && modules.has(linear.inputs.module));
    const groups = Array.from({ length: inputs.matrices }, (_, matrix): LinearGroup => ({
      inputs: { module: inputs.name, matrix },
      layers: reading.filter(({ linear }) => linear.inputs!.matrix === matrix),
    })).filter((group) => group.layers.length > 0);
    if (groups.length === 0) return [];
    return [{ ...(block === undefined ? {} : { block }), name: inputs.name, groups }];
  });
}

interface InputPlace {
  readonly block?: number;
  readonly inputs: LinearInputs;
}

function inputsOf(model: LayeredModel, needed: boolean): InputPlace[] {
  try {
    const graph = planForward(forwardModel(model.description));
    const output = outputInputs(graph.output);
    return [
      ...graph.blocks.flatMap((block, index) =>
        linearInputs(block).map((inputs): InputPlace => ({ block: index, inputs })),
      ),
      ...(output === undefined ? [] : [{ inputs: output }]),
    ];
  } catch (error) {
    if (needed || !(error instanceof QuernError)) throw error;
    return [];
  }
}

/** What runtimes load as one is together. */
function inOrderOfNames(layers: readonly CheckedLinear[]): LinearStage[] {
  const families = new Map<string, CheckedLinear[]>();
  for (const layer of layers) {
    const key = loadedAs(layer.linear);
    families.set(key, [...(families.get(key) ?? []), layer]);
  }
  return [...families.values()].map((together) => {
    const { block, module } = together[0]!.linear;
    return { ...(block === undefined ? {} : { block }), name: module, groups: [{ layers: together }] };
  });
}
