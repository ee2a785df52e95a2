/** What a module does in the model. */
export type ModuleRole =
  | "embedding"
  | "position-embedding"
  | "token-type-embedding"
  | "norm"
  | "output"
  // Generated: factors of the rotary frequencies.
  | "rope-factors"
  // Attention; fused projections hold the parts one after the other.
  | "q"
  | "k"
  | "v"
  | "qkv"
  | "o"
  | "sinks"
  // Latent attention (DeepSeek): down to and up from the latent vectors.
  | "q-down"
  | "q-up"
  | "kv-down"
  | "k-up"
  | "v-up"
  // Feed-forward.
  | "gate"
  | "up"
  | "gate-up"
  | "down"
  // Mixture of experts; the experts of a block are one tensor.
  | "router"
  | "router-bias"
  | "expert-gate"
  | "expert-up"
  | "expert-down"
  | "shared-router"
  | "shared-gate"
  | "shared-up"
  | "shared-down";

/** Roles of modules that multiply vectors by a matrix. */
export const LINEAR_ROLES: ReadonlySet<ModuleRole> = new Set<ModuleRole>([
  "output",
  "q",
  "k",
  "v",
  "qkv",
  "o",
  "q-down",
  "q-up",
  "kv-down",
  "k-up",
  "v-up",
  "gate",
  "up",
  "gate-up",
  "down",
  "router",
  "expert-gate",
  "expert-up",
  "expert-down",
  "shared-router",
  "shared-gate",
  "shared-up",
  "shared-down",
]);

/**
 * Roles whose weights stay F32 whatever the output type (conversion/base.py, `prepare_tensors`): llama.cpp wants them
 * unquantized.
 */
export const UNQUANTIZED_ROLES: ReadonlySet<ModuleRole> = new Set<ModuleRole>([
  "norm",
  "router",
  "shared-router",
  "position-embedding",
  "token-type-embedding",
]);
