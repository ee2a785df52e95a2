import { type ByteSource, QuernError } from "@quern/tensor";
import { createOutputSet, fileSource, type OutputSet } from "@quern/tensor/node";
import type { CopyRange, GgufCopyPlan } from "./copy-plan.ts";

/** How a copy is getting on. */
export type GgufCopyEvent =
  | {
      readonly type: "start";
      /** Tensors in all files. */
      readonly tensors: number;
      /** Bytes that are copied: the measure of progress. */
      readonly bytes: number;
      /** Paths of all files that are going to be written. */
      readonly files: readonly string[];
    }
  | {
      readonly type: "progress";
      /** Tensor, or file that is copied whole. */
      readonly tensor: string;
      /** Bytes. */
      readonly done: number;
      readonly total: number;
    }
  | {
      /** All files are complete, on disk, and bear their final names. */
      readonly type: "output:done";
      readonly files: readonly string[];
      readonly bytes: number;
    };

export interface GgufCopyReport {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** All files together. */
  readonly bytes: number;
  readonly seconds: number;
}

export interface GgufCopyOptions {
  /** Stops the copy and removes what it has written. */
  readonly signal?: AbortSignal;
  /** Called for every event, in order. */
  readonly onEvent?: (event: GgufCopyEvent) => void;
}

/** Bytes in one read. */
const CHUNK_SIZE = 8 * 2 ** 20;

/** Chunks in hand: one is read while another is written. */
const LANES = 2;

/**
 * Carries out a plan: copies tensors in chunks, in about 16 MiB of memory. Files are called `<path>.partial` until all of them are
 * complete and on disk; whatever goes wrong, none stays.
 *
 * @throws the reason of `signal`; QuernError `SOURCE_CHANGED` when a file has another size than when it was planned, other
 * `SOURCE_` codes, and as `createOutputSet`
 */
export async function copyGguf(plan: GgufCopyPlan, options: GgufCopyOptions = {}): Promise<GgufCopyReport> {
  const { signal, onEvent } = options;
  const started = performance.now();
  const paths = plan.files.map(({ path }) => path);
  const sizes = plan.files.map(({ fileSize }) => fileSize);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  signal?.throwIfAborted();
  const output = await createOutputSet({
    files: plan.files.map(({ path, fileSize, header }) => ({ path, size: fileSize, header })),
    replace: plan.force,
  });
  try {
    const tensors = plan.files.reduce((sum, file) => sum + file.tensors, 0);
    onEvent?.({ type: "start", tensors, bytes: plan.bytes, files: paths });
    await copyAll(plan, output, options);
    await output.finish();
  } catch (error) {
    await output.abandon();
    throw error;
  }
  onEvent?.({ type: "output:done", files: paths, bytes });
  return {
    files: paths.map((path, index) => ({ path, bytes: sizes[index]! })),
    bytes,
    seconds: (performance.now() - started) / 1000,
  };
}

async function copyAll(
  plan: GgufCopyPlan,
  output: OutputSet,
  { signal, onEvent }: GgufCopyOptions,
): Promise<void> {
  const sources: ByteSource[] = [];
  try {
    for (const source of plan.sources) sources.push(await openUnchanged(source));
    let done = 0;
    const chunks = chunksOf(plan);
    const runLane = async (): Promise<void> => {
      const buffer = new Uint8Array(Math.min(CHUNK_SIZE, plan.bytes));
      // Leaving the loop by an error ends the generator, and with it the other lane.
      for (const { file, name, source, from, to, size } of chunks) {
        signal?.throwIfAborted();
        const bytes = await sources[source]!.read(from, size, buffer);
        await output.files[file]!.write(bytes, to);
        done += size;
        onEvent?.({ type: "progress", tensor: name, done, total: plan.bytes });
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, runLane));
    for (const lane of lanes) if (lane.status === "rejected") throw lane.reason;
  } finally {
    await Promise.all(sources.map((source) => source.close()));
  }
}

function* chunksOf({ files }: GgufCopyPlan): Generator<CopyRange & { file: number }, void, undefined> {
  for (const [file, { ranges }] of files.entries()) {
    for (const { name, source, from, to, size } of ranges) {
      for (let at = 0; at < size; at += CHUNK_SIZE) {
        yield { file, name, source, from: from + at, to: to + at, size: Math.min(CHUNK_SIZE, size - at) };
      }
    }
  }
}

async function openUnchanged({ path, size }: { path: string; size: number }): Promise<ByteSource> {
  const source = await fileSource({ path });
  if (source.size === size) return source;
  await source.close();
  throw new QuernError(
    "SOURCE_CHANGED",
    `${path}: ${source.size} bytes, but there were ${size} when the copy was planned`,
    { subject: { file: path } },
  );
}
