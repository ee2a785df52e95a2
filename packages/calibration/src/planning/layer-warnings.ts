import { calibrationWarnings, type CalibratedLayer } from "@quern/corpus";
import type { LinearInputs } from "@quern/models";
import { QuernError } from "@quern/tensor";

/** Says for which layers there are too few tokens for Hessians; the same layers of several blocks are one. */
export function layerWarnings(params: {
  readonly tokens: number;
  readonly blocks: readonly (readonly LinearInputs[])[];
}): QuernError[] {
  const layers = new Map<string, { layer: CalibratedLayer; names: string[] }>();
  for (const input of params.blocks.flat()) {
    const { name, columns, matrices, rowsPerToken } = input;
    const role = name.replace(/^blk\.\d+\./, "");
    const key = [role, columns, matrices, rowsPerToken].join(" ");
    // Heads see every token; experts those that are routed to them.
    const routed = rowsPerToken < matrices ? { experts: matrices, activeExperts: rowsPerToken } : {};
    const known = layers.get(key) ?? { layer: { name, inputs: columns, ...routed }, names: [] };
    known.names.push(name);
    layers.set(key, known);
  }
  const named = [...layers.values()].map(({ layer, names }): CalibratedLayer => {
    return names.length === 1 ? layer : { ...layer, name: `all of ${layer.name.replace(/^blk\.\d+\./, "")}` };
  });
  return calibrationWarnings({ tokens: params.tokens, layers: named }).map(
    ({ code, message, layer }) => new QuernError(code, message, { subject: { tensor: layer } }),
  );
}
