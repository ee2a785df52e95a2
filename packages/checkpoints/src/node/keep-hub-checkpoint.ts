import type { HubFileLocation } from "@quern/hub";
import { findCachedFile, keepHubFile, sharedReading } from "@quern/hub/node";
import type { Checkpoint } from "../checkpoint.ts";

/** News of files that come whole. */
export interface KeepingEvent {
  readonly type: "progress";
  /** Bytes that are there, of all files together. */
  readonly done: number;
  readonly total: number;
  /** The file that comes. */
  readonly place: string;
}

/** Weights of other formats, and what is no part of a model; nothing of it is read here. */
const NOT_READ =
  /\.(?:safetensors|bin|pth?|ckpt|gguf|h5|msgpack|onnx|onnx_data|zip|tar|gz|png|jpe?g|gif|mp4)$/i;

/** Folder of chat templates beside the usual one. */
const TEMPLATES = "additional_chat_templates";

/** Files that stay small: configurations, tokenizers, texts. */
const LARGEST_SMALL_FILE = 64 * 2 ** 20;

/** Shards of a repository of the Hub that are not in the cache yet: what {@link keepHubCheckpoint} will bring there. */
export function hubFilesToKeep({ shards }: Checkpoint): HubFileLocation[] {
  return shards.flatMap(({ location, copy }) =>
    location.kind === "hub" && copy === undefined ? [location] : [],
  );
}

/**
 * Brings the weights of a checkpoint of the Hub whole into the cache that it was opened with, and the small files beside them: without
 * a network all commands find what they need afterwards. Threads that open shards from then on find them there.
 *
 * @throws QuernError what `keepHubFile` throws
 */
export async function keepHubCheckpoint(
  checkpoint: Checkpoint,
  options: { readonly signal?: AbortSignal; readonly onEvent?: (event: KeepingEvent) => void } = {},
): Promise<void> {
  const { signal, onEvent } = options;
  const { files } = checkpoint;
  const templates = files.list(TEMPLATES).map((name) => `${TEMPLATES}/${name}`);
  for (const path of [...files.list(""), ...templates]) {
    signal?.throwIfAborted();
    if (!NOT_READ.test(path) && files.size(path)! <= LARGEST_SMALL_FILE) await files.read(path);
  }
  const wanted = hubFilesToKeep(checkpoint);
  const total = wanted.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const location of wanted) {
    const { cache, ...reading } = sharedReading(location);
    if (cache === undefined || cache.offline) continue;
    const tell = (done: number): void =>
      onEvent?.({ type: "progress", done: before + done, total, place: location.path });
    if ((await findCachedFile({ cache, location })) === undefined) {
      await keepHubFile({ location, cache, ...reading, signal, onBytes: tell });
    }
    before += location.size;
    tell(0);
  }
}
