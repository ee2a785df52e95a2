import { hubFilesToKeep, keepHubCheckpoint } from "@quern/checkpoints/node";
import { hubCacheFolder, type HubCache, isOffline } from "@quern/hub/node";
import type { ModelSource } from "@quern/pipeline";
import type { Command } from "commander";
import type { Host } from "../host.ts";
import { measuredInBytes } from "../reporters/measure.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";

/** What commander makes of the options that {@link addHubOptions} declares. */
export interface HubOptions {
  readonly cache?: true;
  readonly offline?: true;
}

/** Declares how repositories of the Hub are read. */
export function addHubOptions(command: Command): Command {
  return command
    .optionsGroup("Hub:")
    .option(
      "--cache",
      "download to the shared Hub cache and read from there (default: use what is cached, stream the rest, keep nothing)",
    )
    .option("--offline", "use only what is cached; no network requests (default: as HF_HUB_OFFLINE says)");
}

/** The cache of the Hub, and how the options and the environment want it to be used. */
export function hubCacheOf({ cache, offline }: HubOptions, { env }: Pick<Host, "env">): HubCache {
  return {
    folder: hubCacheFolder(env),
    keep: cache === true,
    offline: offline === true || isOffline(env),
  };
}

/** With `--cache`, brings the weights of a model there, and shows how that gets on. */
export async function keepModel(params: {
  readonly source: ModelSource;
  readonly options: HubOptions & MessageOptions;
  readonly host: Host;
}): Promise<void> {
  const { source, options, host } = params;
  if (!options.cache || !("files" in source)) return;
  const wanted = hubFilesToKeep(source);
  if (wanted.length === 0) return;
  await runReported({
    host,
    reporter: reporterName(options),
    activity: "downloading",
    measure: measuredInBytes(wanted.reduce((sum, { size }) => sum + size, 0)),
    interrupted: "the same command goes on with the download where it ended",
    run: (runOptions) => keepHubCheckpoint(source, runOptions),
  });
}
