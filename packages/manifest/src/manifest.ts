/** A value of JSON. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** An object of JSON. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** A program. */
export interface ManifestTool {
  /** "quern" */
  readonly name: string;
  readonly version: string;
}

/** A file that was read. Hashes are lower-case hex. */
export interface ManifestSourceFile {
  /** Relative to the model, with forward slashes. */
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of all of it, where that is known. */
  readonly sha256?: string;
  /** SHA-256 of its header (safetensors: with the eight bytes of its length), where not all of it has been read. */
  readonly headerSha256?: string;
  /** Hash of the git object, as the Hub lists it for small files. */
  readonly gitHash?: string;
}

/** What a model was made of. */
export interface ManifestSource {
  readonly kind: "checkpoint" | "gguf";
  /** "hf:org/name@commit", or the name of a folder or a file without the place where it lies. */
  readonly name: string;
  /** Of the Hub: "org/name". */
  readonly repository?: string;
  /** Of the Hub: the full hash. */
  readonly commit?: string;
  /** Files of weights, and those that say what they mean. */
  readonly files: readonly ManifestSourceFile[];
}

/** A named member of an axis, with its options. */
export interface ManifestMember {
  readonly name: string;
  readonly options?: JsonObject;
}

/** A pair of GGUF metadata as JSON. */
export interface ManifestPair {
  readonly key: string;
  /** As GGUF calls it: "uint32", "string", "array". */
  readonly type: string;
  /** 64-bit integers, and numbers that JSON lacks, are text. */
  readonly value: JsonValue;
}

/** Options of an output of GGUF, as `OutputRequest` of `@quern/pipeline` has them; those of a division by files are a plain object. */
export interface GgufOptions {
  readonly intermediate?: string;
  readonly pure?: boolean;
  readonly leaveOutputTensor?: boolean;
  readonly outputTensorType?: string;
  readonly tokenEmbeddingType?: string;
  readonly tensorTypes?: readonly { readonly pattern: string; readonly type: string }[];
  readonly allowRequantize?: boolean;
  readonly pruneLayers?: readonly number[];
  readonly keepSplit?: boolean;
  readonly split?: {
    readonly maxTensors?: number;
    readonly maxBytes?: number;
    readonly firstWithoutTensors?: boolean;
    readonly fileOf?: Readonly<Record<string, number>>;
  };
}

/** How files of GGUF were made: what `planConversion` was asked for. */
export interface GgufRecipe {
  readonly container: "gguf";
  /** "Q4_K_M" */
  readonly type: string;
  readonly flavour: string;
  readonly options: GgufOptions;
  /** Pairs that were set. */
  readonly metadata?: readonly ManifestPair[];
  readonly preTokenizer?: string;
  /** How layers were rounded by what is known of their inputs. */
  readonly rounding?: { readonly method: ManifestMember; readonly transforms?: readonly ManifestMember[] };
}

/** How the folder of a quantized checkpoint was made: what `planCheckpoint` was asked for. */
export interface CheckpointRecipe {
  readonly container: "safetensors";
  /** A recipe of `@quern/recipes`, whole. */
  readonly recipe: JsonObject;
  /** Most bytes of tensors in a file, where that was given. */
  readonly maxShardSize?: number;
}

export type ManifestRecipe = GgufRecipe | CheckpointRecipe;

/** What was known of the inputs of layers. */
export interface ManifestCalibration {
  /** An importance matrix, a statistics file, or a run along with the quantization. */
  readonly kind: "importance" | "statistics" | "sequential";
  /** Name of the file. */
  readonly file?: string;
  /** Of the file, or of the texts. */
  readonly sha256?: string;
  /** Of importance: parts of the names of tensors that it is used for, or not. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

/** A file that was written. */
export interface ManifestFile {
  /** Relative to the manifest, with forward slashes. */
  readonly name: string;
  readonly bytes: number;
  /** Of all of it. */
  readonly sha256: string;
  /** What lies in front of the data of tensors; absent of files without tensors. */
  readonly header?: { readonly bytes: number; readonly sha256: string };
}

/** A tensor that was written. */
export interface ManifestTensor {
  readonly name: string;
  /** Index of its file. */
  readonly file: number;
  /** ggml type, or element type as safetensors calls it. */
  readonly type: string;
  /** As its format says: ggml order in GGUF, row-major in safetensors. */
  readonly shape: readonly number[];
  /** Of its data in the file. */
  readonly offset: number;
  /** Of its data, without padding. */
  readonly bytes: number;
  /** Of its data. */
  readonly sha256: string;
  /** Relative error of its weights, where that was measured: the root of (squared errors / squared weights). */
  readonly error?: number;
}

/** What a quantized model was made of, how, and what its bytes are. Holds no time and no place: the same run has the same manifest. */
export interface Manifest {
  readonly tool: ManifestTool;
  readonly source: ManifestSource;
  readonly recipe: ManifestRecipe;
  readonly calibration?: ManifestCalibration;
  /** Kernels that ran, where bytes may depend on them: rounding by inputs is of single precision, fused or not. */
  readonly kernels?: string;
  readonly files: readonly ManifestFile[];
  /** File by file, in the order of their data. */
  readonly tensors: readonly ManifestTensor[];
}

/** A manifest before anything is written. */
export type ManifestOrigin = Pick<Manifest, "tool" | "source" | "recipe" | "calibration">;

/** The origin of a quantized checkpoint. */
export type CheckpointOrigin = ManifestOrigin & { readonly recipe: CheckpointRecipe };
