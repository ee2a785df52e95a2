import type { KernelBackend } from "@quern/kernels";
import type { Manifest, ManifestTensor } from "@quern/manifest";
import type { Importance, Statistics } from "@quern/statistics";
import type { ModelSource } from "../plan.ts";
import type { FileProgressEvent } from "../provenance/write-manifests.ts";
import type { Finding } from "./finding.ts";

export interface RederiveParams {
  readonly manifest: Manifest;
  /** Where the files lie. */
  readonly folder: string;
  /** What the model was made of. */
  readonly source: ModelSource;
  /** How many tensors are made again, or all. @default 8 */
  readonly sample?: number | "all";
  /** Chooses them. @default 0 */
  readonly seed?: number;
  /** The importance matrix of the manifest, under the name that it has there; of GGUF a view of statistics does as well. */
  readonly importance?: Importance;
  /** The statistics of the manifest. */
  readonly statistics?: Statistics;
  /** As in `planConversion`. */
  readonly memory?: number;
  /** As in `planConversion`. */
  readonly threads?: number;
  /** As in `planConversion`. */
  readonly backend?: KernelBackend;
  readonly signal?: AbortSignal;
  /** Called with news of the work. */
  readonly onEvent?: (event: FileProgressEvent) => void;
}

/** What making a model again has found. */
export interface Rederivation {
  /** None where all is as it should be. */
  readonly findings: readonly Finding[];
  /** Whether headers, and files without tensors, were made again; else why not. */
  readonly headers: true | string;
  /** Names of the tensors that were made again and compared, byte by byte. */
  readonly tensors: readonly string[];
  /** Their bytes. */
  readonly bytes: number;
  /** How many tensors cannot be made again, and what that would take. */
  readonly others?: { readonly tensors: number; readonly reason: string };
}

/** Why tensors cannot be made again without what was known of the inputs of layers. */
export function missingCalibration({ calibration }: Manifest, given: boolean): string | undefined {
  if (calibration === undefined) return undefined;
  const { kind, file } = calibration;
  if (kind === "sequential") return "the model was run along with its quantization, which is not done again";
  if (given) return undefined;
  const what = kind === "importance" ? "the importance matrix" : "the statistics";
  return `without ${what}${file === undefined ? "" : ` ${file}`}`;
}

/** Where nothing can be made again. */
export function nothingAgain({ tensors }: Manifest, reason: string): Rederivation {
  return {
    findings: [],
    headers: reason,
    tensors: [],
    bytes: 0,
    others: { tensors: tensors.length, reason },
  };
}

/** A tensor that the source becomes otherwise, or not at all. @param becomes Type and shape. */
export function otherTensor(
  { files }: Manifest,
  tensor: ManifestTensor,
  becomes: { readonly type: string; readonly shape: readonly number[] } | undefined,
): Finding {
  const textOf = ({ type, shape }: Pick<ManifestTensor, "type" | "shape">): string =>
    `${type} [${shape.join(", ")}]`;
  const { name, file, offset } = tensor;
  const message = `is ${textOf(tensor)}: the source becomes ${becomes === undefined ? "nothing" : textOf(becomes)}`;
  return { kind: "tensor", file: files[file]!.name, tensor: name, offset, message };
}

/** Collects the first byte that differs of each tensor. */
export class Differences {
  readonly #tensors: readonly ManifestTensor[];
  readonly #files: Manifest["files"];
  readonly #first = new Map<ManifestTensor, number>();

  constructor({ tensors, files }: Manifest) {
    this.#tensors = tensors;
    this.#files = files;
  }

  add({ file, offset }: { readonly file: number; readonly offset: number }): void {
    const tensor = this.#tensors.find(
      (one) => one.file === file && offset >= one.offset && offset < one.offset + one.bytes,
    );
    // What is behind the end of its file lies in no tensor of the manifest.
    if (tensor === undefined) return;
    this.#first.set(tensor, Math.min(offset, this.#first.get(tensor) ?? offset));
  }

  findings(): Finding[] {
    return [...this.#first].map(([{ name, file }, offset]) => ({
      kind: "tensor",
      file: this.#files[file]!.name,
      tensor: name,
      offset,
      message: `the byte at ${offset} is not what the source becomes`,
    }));
  }
}
