import type { LinearGraph, NetworkGraph } from "../graph.ts";
import { applyActivation } from "./activation.ts";
import { columns } from "./columns.ts";
import type { Evaluation } from "./evaluation.ts";
import { applyLinear } from "./linear.ts";

/** One of the layers of a network, applied to rows of its inputs. */
export type ApplyLayer<Layer extends LinearGraph> = (layer: Layer, input: Float32Array) => Float32Array;

/** A feed-forward network; input and result are rows x width. */
export function applyNetwork(
  evaluation: Evaluation,
  network: NetworkGraph,
  { input, rows }: { readonly input: Float32Array; readonly rows: number },
): Float32Array {
  return applyNetworkWith(evaluation, network, {
    input,
    rows,
    apply: (layer, values) => applyLinear(evaluation, layer, { input: values, rows }),
  });
}

/** The same with another way to apply its layers. */
export function applyNetworkWith<Layer extends LinearGraph>(
  evaluation: Evaluation,
  { activation, gate, up, fused, down }: NetworkGraph<Layer>,
  params: { readonly input: Float32Array; readonly rows: number; readonly apply: ApplyLayer<Layer> },
): Float32Array {
  const { input, rows, apply } = params;
  const gated = gate === undefined ? undefined : apply(gate, input);
  const raised = apply(up, input);
  const half = (start: number): Float32Array =>
    columns(evaluation, { matrix: raised, rows, stride: up.outputs, start, width: down.inputs });
  const values = fused
    ? { x: half(0), up: half(down.inputs) }
    : gated === undefined
      ? { x: raised }
      : { x: gated, up: raised };
  return apply(down, applyActivation(evaluation, activation, values));
}
