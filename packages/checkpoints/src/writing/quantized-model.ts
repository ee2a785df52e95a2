import type { LayerParameters } from "../formats/format.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** A linear layer that will be quantized. */
export interface PlannedLayer {
  /** Name of its tensors without ".weight". */
  readonly module: string;
  /** Name of the format. */
  readonly format: string;
  readonly parameters: LayerParameters;
}

/** What a configuration is about. */
export interface QuantizedModel {
  /** One or more. */
  readonly layers: readonly PlannedLayer[];
  /** Linear layers that stay as they are. */
  readonly kept: readonly string[];
  /** Name and version of the program, as "name 1.2.3". */
  readonly quantizer: string;
}

/** How one `quant_method` says in config.json what is quantized. Adding one is a file here and a line in `configurations.ts`. */
export interface QuantizationConfiguration {
  readonly method: string;
  /** `format` of the metadata of safetensors files. */
  readonly framework: "pt" | "mlx";
  /** Whether embeddings can be quantized as linear layers are. */
  readonly embeddings: boolean;
  /** Why the method cannot describe a model; empty when it can. */
  problems(model: QuantizedModel): readonly string[];
  /** What config.json gets. */
  config(model: QuantizedModel): JsonObject;
  /** More files, by path. */
  files?(model: QuantizedModel): ReadonlyMap<string, JsonObject>;
}

/** Layers that are quantized alike. */
export interface LayerGroup {
  readonly format: string;
  readonly parameters: LayerParameters;
  readonly modules: readonly string[];
}

/** Layers by what they have in common, the largest group first. */
export function groupsOf({ layers }: QuantizedModel): [LayerGroup, ...LayerGroup[]] {
  const groups = new Map<string, LayerGroup & { modules: string[] }>();
  for (const { module, format, parameters } of layers) {
    const key = `${format} ${canonicalJson(parameters)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { format, parameters, modules: [module] });
    else group.modules.push(module);
  }
  const [first, ...others] = [...groups.values()].sort((a, b) => b.modules.length - a.modules.length);
  return [first!, ...others];
}

/** For methods that have one set of parameters for all layers. */
export function oneGroupOnly(model: QuantizedModel): string[] {
  const [, other] = groupsOf(model);
  return other === undefined
    ? []
    : [`"${other.modules[0]}" is quantized otherwise than most: expected all layers alike`];
}

/** Layers that stay as they are, the output layer among them unless it is quantized: lists replace what loaders assume of it. */
export function keptWithHead({ layers, kept }: QuantizedModel): string[] {
  const others = kept.filter((module) => module !== "lm_head");
  return layers.some(({ module }) => module === "lm_head") ? others : ["lm_head", ...others];
}

/** Group size as configurations spell it: -1 for whole rows. */
export function groupSizeOf({ tile }: LayerParameters): number {
  return tile.columns === "all" ? -1 : tile.columns;
}

/** The same text whatever the order of keys. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
