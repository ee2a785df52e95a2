import { QuernError } from "@quern/tensor";
import { Command } from "commander";
import { addResourceOptions } from "../commands/shared-options.ts";
import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { checkValues } from "../settings/apply-settings.ts";
import { readSettings } from "../settings/read-settings.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** The files of settings. */
export async function checkSettings(host: Host): Promise<Finding> {
  const name = "settings";
  try {
    const settings = await readSettings(host);
    const { files, effective, warnings } = settings;
    checkValues(settings, addResourceOptions(new Command()).options);
    const set = effective.flatMap(({ setting, value }) =>
      value === undefined ? [] : `${setting.key} ${value}`,
    );
    const text = files.length === 0 ? "no files" : files.join(", ");
    const all = printable(set.length === 0 ? text : `${text}: ${set.join(", ")}`);
    if (warnings.length === 0) return ok(name, all);
    const unknown = warnings.map(({ message }) => printable(message)).join(" ");
    return warning(name, `${all}; ${unknown}`, "quern config --schema lists all settings.");
  } catch (error) {
    return problem(name, printable(messageOf(error)), "Mend or remove the file, or the variable.");
  }
}

/** Of broken JSON, the cause says where. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error instanceof QuernError && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${error.message}${cause}`;
}
