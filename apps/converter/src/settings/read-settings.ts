import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { QuernError } from "@quern/tensor";
import type { Host } from "../host.ts";
import { type Setting, SETTINGS } from "./settings.ts";

/** In the folder in which quern is started. */
const PROJECT_FILE = "quern.config.json";
const LARGEST_FILE = 2 ** 20;

/** Where a value comes from; the first wins. Options of the command line come before all of these. */
export interface SettingSource {
  readonly kind: "environment" | "project" | "user";
  /** Variable, or path of the file. */
  readonly name: string;
}

export interface EffectiveSetting {
  readonly setting: Setting;
  /** As an option of the command line would have it; absent where nothing is set. */
  readonly value?: string | boolean;
  readonly source?: SettingSource;
}

export interface Settings {
  /** All of them, in their order. */
  readonly effective: readonly EffectiveSetting[];
  /** Files that there are. */
  readonly files: readonly string[];
  /** Keys that this version does not know: a newer one may. */
  readonly warnings: readonly QuernError[];
}

/** Paths of the files, whether they are there or not: that of the project, and that of the user (XDG base directories). */
export function settingsFiles({ cwd, env }: Pick<Host, "cwd" | "env">): { project: string; user: string } {
  const home = env["HOME"] ?? homedir();
  const configuration = env["XDG_CONFIG_HOME"] || join(home, ".config");
  return { project: join(cwd, PROJECT_FILE), user: join(configuration, "quern", "config.json") };
}

/**
 * Reads what users have set in the environment, in the file of the project and in their own.
 *
 * @throws QuernError `SETTINGS_UNREADABLE`, `SETTINGS_INVALID`, `SETTINGS_TOKEN`
 */
export async function readSettings(host: Pick<Host, "cwd" | "env">): Promise<Settings> {
  const paths = settingsFiles(host);
  const read = await Promise.all(
    (["project", "user"] as const).map(async (kind) => ({
      source: { kind, name: paths[kind] },
      content: await readFileOf(paths[kind]),
    })),
  );
  const files = read.flatMap(({ source, content }) => (content === undefined ? [] : [{ source, content }]));
  const warnings = files.flatMap(({ source, content }) => unknownKeys(source.name, content));
  const effective = SETTINGS.map((setting): EffectiveSetting => {
    const { key, variable } = setting;
    const inEnvironment = variable === undefined ? undefined : host.env[variable]?.trim();
    if (inEnvironment) {
      return { setting, value: inEnvironment, source: { kind: "environment", name: variable! } };
    }
    const file = files.find(({ content }) => Object.hasOwn(content, key));
    if (file === undefined) return { setting };
    return { setting, value: checked(setting, file.content[key], file.source.name), source: file.source };
  });
  return { effective, files: files.map(({ source }) => source.name), warnings };
}

async function readFileOf(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const subject = { file: path };
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE) throw new RangeError(`it has ${size} bytes, expected at most ${LARGEST_FILE}`);
    text = await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new QuernError("SETTINGS_UNREADABLE", `${path}: the settings cannot be read`, { subject, cause });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new QuernError("SETTINGS_INVALID", `${path}: the settings are not JSON`, { subject, cause });
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new QuernError("SETTINGS_INVALID", `${path}: expected an object of settings`, { subject });
  }
  return content as Readonly<Record<string, unknown>>;
}

function unknownKeys(file: string, content: Readonly<Record<string, unknown>>): QuernError[] {
  const known = new Set(["$schema", ...SETTINGS.map(({ key }) => key)]);
  const keys = Object.keys(content).filter((key) => !known.has(key));
  const secret = keys.find((key) => /token|secret|password/i.test(key));
  if (secret !== undefined) {
    throw new QuernError(
      "SETTINGS_TOKEN",
      `${file}: "${secret}" does not belong there, for such files are shared. Expected a token in HF_TOKEN, or in the file that "hf auth login" writes.`,
      { subject: { file, key: secret } },
    );
  }
  return keys.map(
    (key) =>
      new QuernError("SETTINGS_UNKNOWN", `${file}: there is no setting "${key}"; it is left alone.`, {
        subject: { file, key },
      }),
  );
}

const EXPECTED: Readonly<Record<Setting["kind"], string>> = {
  "text or number": "a text or a whole number",
  "whole number": "a whole number",
  "yes or no": "true or false",
};

/** The value as an option has it. */
function checked({ key, kind }: Setting, value: unknown, file: string): string | boolean {
  if (kind === "yes or no" && typeof value === "boolean") return value;
  if (kind !== "yes or no" && typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  if (kind === "text or number" && typeof value === "string") return value;
  throw new QuernError("SETTINGS_INVALID", `${file}: "${key}": expected ${EXPECTED[kind]}`, {
    subject: { file, key },
  });
}
