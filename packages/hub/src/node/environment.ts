import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { QuernError } from "@quern/tensor";
import { type HubAccess, hubAccess } from "../access.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The access that the environment gives, by the variables of huggingface_hub (docs/source/en/package_reference/environment_variables.md):
 * `HF_ENDPOINT`; `HF_TOKEN`, or else the token in the file at `HF_TOKEN_PATH`, which is `token` in `HF_HOME` unless given. In paths `~` in
 * front, `$NAME` and `${NAME}` are what shells make of them, as there.
 *
 * @throws QuernError `HUB_ENDPOINT_INVALID`, `HUB_TOKEN_INVALID`, `HUB_TOKEN_UNREADABLE`
 */
export async function hubAccessOf(environment: Environment): Promise<HubAccess> {
  const token = set(environment, "HF_TOKEN") ?? (await tokenInFile(environment));
  return hubAccess({ endpoint: set(environment, "HF_ENDPOINT"), token });
}

/** Folder of the cache that all tools for the Hub share. */
export function hubCacheFolder(environment: Environment): string {
  return pathIn(environment, "HF_HUB_CACHE") ?? join(homeOf(environment), "hub");
}

/** Path of the file with the token, where `HF_TOKEN` is not set; it need not be there. */
export function hubTokenFile(environment: Environment): string {
  return pathIn(environment, "HF_TOKEN_PATH") ?? join(homeOf(environment), "token");
}

/** Whether the environment forbids all requests: `HF_HUB_OFFLINE` is 1, ON, YES or TRUE. */
export function isOffline(environment: Environment): boolean {
  return /^(?:1|on|yes|true)$/i.test(set(environment, "HF_HUB_OFFLINE") ?? "");
}

async function tokenInFile(environment: Environment): Promise<string | undefined> {
  const path = hubTokenFile(environment);
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new QuernError("HUB_TOKEN_UNREADABLE", `${path}: the file of the Hub's token cannot be read`, {
      subject: { file: path },
      cause,
    });
  }
}

function homeOf(environment: Environment): string {
  const cache = pathIn(environment, "XDG_CACHE_HOME") ?? join(userHome(environment), ".cache");
  return pathIn(environment, "HF_HOME") ?? join(cache, "huggingface");
}

function userHome(environment: Environment): string {
  return set(environment, "HOME") ?? homedir();
}

/** Files that set variables for programs, unlike shells, leave paths as they are written. */
function pathIn(environment: Environment, name: string): string | undefined {
  return set(environment, name)
    ?.replace(/^~(?=$|[\\/])/, () => userHome(environment))
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (text, braced?: string, plain?: string) => {
      return environment[braced ?? plain!] ?? text;
    });
}

/** Empty counts as not given. */
function set(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === "" ? undefined : value;
}
