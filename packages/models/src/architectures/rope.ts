import { isJsonObject, type JsonObject } from "../json-file.ts";
import { Config } from "./config.ts";

/** Names under which configurations hold the base of the rotary frequencies. */
const THETA = [
  "global_rope_theta",
  "rope_global_theta",
  "rope_theta_global",
  "rope_theta",
  "rotary_emb_base",
];
const LOCAL_THETA = [
  "local_rope_theta",
  "rope_local_theta",
  "rope_theta_local",
  "swa_rope_theta",
  "rope_local_base_freq",
];
const PARTIAL = ["partial_rotary_factor", "rope_pct", "rope_percent"];

/** Rotary position parameters: those of full attention and, where they differ, of sliding-window attention. */
export interface RopeParameters {
  readonly full: Config;
  readonly sliding?: Config;
}

/**
 * Rotary position parameters in one form, whether config.json has the `rope_parameters` of transformers 5 (for all layers or
 * per kind of attention) or the `rope_scaling` and `rope_theta` of earlier ones (conversion/base.py, `TextModel.__init__`).
 */
export function ropeParameters(config: Config): RopeParameters {
  const parameters = config.optionalObject("rope_parameters", "rope_scaling") ?? {};
  const name = config.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const full = section(parameters["full_attention"]);
  const sliding = section(parameters["sliding_attention"]);
  if (full !== undefined || sliding !== undefined) {
    return {
      full: new Config(full ?? parameters, `${name}.`),
      ...(sliding === undefined ? {} : { sliding: new Config(sliding, `${name}.sliding_attention.`) }),
    };
  }
  const localTheta = config.optionalNumber(...LOCAL_THETA);
  return {
    full: new Config(
      withDefaults(parameters, {
        rope_theta: config.optionalNumber(...THETA),
        rope_type: parameters["type"],
        partial_rotary_factor: config.optionalNumber(...PARTIAL),
        original_max_position_embeddings: config.optionalInteger("original_max_position_embeddings"),
      }),
      `${name}.`,
    ),
    ...(localTheta === undefined ? {} : { sliding: new Config({ rope_theta: localTheta }) }),
  };
}

function section(value: unknown): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined;
}

function withDefaults(values: JsonObject, defaults: JsonObject): JsonObject {
  const missing = Object.entries(defaults).filter(
    ([key, value]) => !Object.hasOwn(values, key) && value !== undefined,
  );
  return { ...values, ...Object.fromEntries(missing) };
}
