import { printable } from "../format/printable.ts";
import type { Host } from "../host.ts";
import { readSettings } from "../settings/read-settings.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** The files of settings. */
export async function checkSettings(host: Host): Promise<Finding> {
  const name = "settings";
  try {
    const { files, effective, warnings } = await readSettings(host);
    const set = effective.flatMap(({ setting, value }) =>
      value === undefined ? [] : `${setting.key} ${value}`,
    );
    const text = files.length === 0 ? "no files" : files.join(", ");
    const all = printable(set.length === 0 ? text : `${text}: ${set.join(", ")}`);
    const [unknown] = warnings;
    if (unknown === undefined) return ok(name, all);
    return warning(
      name,
      `${all}; ${printable(unknown.message)}`,
      "quern config --schema lists all settings.",
    );
  } catch (error) {
    return problem(
      name,
      printable(error instanceof Error ? error.message : String(error)),
      "Mend or remove the file.",
    );
  }
}
