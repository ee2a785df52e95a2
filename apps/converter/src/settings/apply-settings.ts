import { QuernError } from "@quern/tensor";
import { type Command, InvalidArgumentError, type Option } from "commander";
import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { writeWarnings } from "../commands/warnings.ts";
import { readSettings, type Settings, type SettingSource } from "./read-settings.ts";
import { SETTINGS } from "./settings.ts";

/** Commands that say themselves what is wrong with settings. */
const reporting = new WeakSet<Command>();

/** Lets a command run although settings cannot be read: it reports that itself. */
export function reportsSettings(command: Command): void {
  reporting.add(command);
}

/**
 * Gives options of a command the values that users have set, where the command line says nothing.
 *
 * @throws QuernError the codes of `readSettings`
 */
export async function applySettings(command: Command, host: Host): Promise<void> {
  const options = new Map(command.options.map((option) => [option.attributeName(), option]));
  if (!SETTINGS.some(({ key }) => options.has(key))) return;
  const settings = await readSettings(host).catch((error: unknown) => {
    if (!reporting.has(command)) throw error;
  });
  if (settings === undefined) return;
  const { effective, warnings } = settings;
  const { quiet = false, verbose = false } = command.opts<{ quiet?: boolean; verbose?: boolean }>();
  if (!quiet && !reporting.has(command)) writeWarnings(warnings, host);
  for (const { setting, value, source } of effective) {
    const option = options.get(setting.key);
    if (option === undefined || value === undefined || source === undefined) continue;
    if (command.getOptionValueSource(setting.key) === "cli") continue;
    if (verbose) host.stderr.write(`${setting.key}: ${printable(`${value} (${source.name})`)}\n`);
    if (source.kind === "environment" && setting.readsVariable === true) continue;
    command.setOptionValueWithSource(setting.key, parsed({ option, value, source }), "settings");
  }
}

/**
 * Whether options would take all values.
 *
 * @param options Of any command that has all of them.
 * @throws QuernError `SETTINGS_INVALID`
 */
export function checkValues({ effective }: Settings, options: readonly Option[]): void {
  for (const { setting, value, source } of effective) {
    const option = options.find((one) => one.attributeName() === setting.key);
    if (option === undefined || value === undefined || source === undefined) continue;
    if (source.kind === "environment" && setting.readsVariable === true) continue;
    parsed({ option, value, source });
  }
}

function parsed(params: {
  readonly option: Option;
  readonly value: string | boolean;
  readonly source: SettingSource;
}): unknown {
  const { option, value, source } = params;
  if (typeof value !== "string") return value;
  try {
    if (option.argChoices !== undefined && !option.argChoices.includes(value)) {
      throw new InvalidArgumentError(`Allowed choices are ${option.argChoices.join(", ")}.`);
    }
    return option.parseArg === undefined ? value : option.parseArg(value, undefined);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    const key = option.attributeName();
    throw new QuernError(
      "SETTINGS_INVALID",
      `${source.name}: "${value}" cannot be the value of "${key}". ${error.message}`,
      { subject: source.kind === "environment" ? { key: source.name } : { file: source.name, key } },
    );
  }
}
