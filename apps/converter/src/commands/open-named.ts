import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Checkpoint, GgufModel } from "@quern/checkpoints";
import { openCheckpointDirectory, openHubCheckpoint, openModel } from "@quern/checkpoints/node";
import { hasHubPrefix, isWebAddress, looksLikeRepository, type NetworkWaitEvent } from "@quern/hub";
import { hubAccessOf } from "@quern/hub/node";
import { QuernError } from "@quern/tensor";
import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { hubCacheOf, type HubOptions } from "./hub-options.ts";
import { type MessageOptions, waitTeller } from "./run-reported.ts";
import { writeWarnings } from "./warnings.ts";

/** What the commands say of their argument. */
export const MODEL_ARGUMENT =
  "folder with config.json, tokenizer and *.safetensors; a GGUF file (any one of a split set); or a repository of the Hub: hf:owner/name[@revision]";

type OpenOptions = HubOptions & Partial<MessageOptions>;

/** Milliseconds after which people wonder what happens where there is neither an answer nor a failure. */
const PATIENCE = 5_000;

/**
 * Opens a model as a user names it: a path, or a repository of the Hub.
 *
 * @throws QuernError what `openModel` and `openHubCheckpoint` throw
 */
export async function openNamedModel(
  text: string,
  host: Host,
  options: OpenOptions = {},
): Promise<Checkpoint | GgufModel> {
  return namesRepository(text, host)
    ? openRepositoryOf(text, host, options)
    : atPath(text, openModel(resolve(host.cwd, text)));
}

/** Opens a checkpoint as {@link openNamedModel} does, and nothing else. */
export async function openNamedCheckpoint(
  text: string,
  host: Host,
  options: OpenOptions = {},
): Promise<Checkpoint> {
  return namesRepository(text, host)
    ? openRepositoryOf(text, host, options)
    : atPath(text, openCheckpointDirectory(resolve(host.cwd, text)));
}

/** "hf:owner/name", or "owner/name" where there is nothing of this name. */
export function namesRepository(text: string, { cwd }: Host): boolean {
  if (hasHubPrefix(text) || isWebAddress(text)) return true;
  const isFile = /\.(gguf|safetensors)$/i.test(text);
  return !isFile && looksLikeRepository(text) && !existsSync(resolve(cwd, text));
}

/** Whoever means a repository may have a folder of that name, such as one for results. */
async function atPath<Model>(text: string, opening: Promise<Model>): Promise<Model> {
  try {
    return await opening;
  } catch (error) {
    const isEmpty = error instanceof QuernError && error.code === "CHECKPOINT_NO_WEIGHTS";
    if (!isEmpty || !looksLikeRepository(text)) throw error;
    const { code, message, subject, cause } = error;
    throw new QuernError(code, `${message} The repository of the Hub is hf:${text}.`, { subject, cause });
  }
}

async function openRepositoryOf(text: string, host: Host, options: OpenOptions): Promise<Checkpoint> {
  const access = await hubAccessOf(host.env);
  const remind = (milliseconds: number): NodeJS.Timeout =>
    setTimeout(() => {
      if (!options.quiet) host.stderr.write(`${printable(text)}: waiting for ${access.endpoint}\n`);
    }, milliseconds);
  let reminder: NodeJS.Timeout | undefined = remind(PATIENCE);
  const tell = waitTeller(host, options);
  const onWait = (event: NetworkWaitEvent): void => {
    tell(event);
    if (reminder === undefined) return;
    clearTimeout(reminder);
    reminder = remind(event.seconds * 1000 + PATIENCE);
  };
  const cache = hubCacheOf(options, host);
  try {
    const checkpoint = await openHubCheckpoint(text, { access, cache, patience: { onWait } });
    if (checkpoint.partial && !options.quiet) writeWarnings([unlisted(text)], host);
    return checkpoint;
  } catch (error) {
    if (
      hasHubPrefix(text) ||
      isWebAddress(text) ||
      !(error instanceof QuernError) ||
      !error.code.startsWith("HUB_")
    )
      throw error;
    const { code, message, subject, cause } = error;
    throw new QuernError(code, `There is no folder ${text}. ${message}`, { subject, cause });
  } finally {
    clearTimeout(reminder);
    reminder = undefined;
  }
}

function unlisted(text: string): Error {
  return new Error(
    `${text}: the cache has no listing of the repository. Files of it that nobody has downloaded count as not being there, and the result may be another one than with a network: once with --cache and a network brings all that is needed.`,
  );
}
