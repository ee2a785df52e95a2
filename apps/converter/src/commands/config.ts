import { type Command, Option } from "commander";
import { printable } from "../format/printable.ts";
import { formatTable } from "../format/table.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { type EffectiveSetting, readSettings, settingsFiles } from "../settings/read-settings.ts";
import { settingsSchema } from "../settings/settings.ts";
import { styleFor } from "../terminal.ts";
import { addAnswerOptions } from "./shared-options.ts";
import { writeWarnings } from "./warnings.ts";

interface ConfigOptions {
  readonly json?: true;
  readonly schema?: true;
  readonly quiet?: true;
}

export function defineConfig(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "Settings are defaults for options. Options on the command line take precedence, then environment variables, then quern.config.json in the current folder, then quern/config.json in the user's configuration folder ($XDG_CONFIG_HOME, or ~/.config).",
      "Unknown keys only give a warning, so that files for newer versions work. Tokens are refused, since such files get shared.",
    ],
    examples: [
      { does: "Show what is in effect, and why", run: "quern config" },
      {
        does: "Set defaults for this folder",
        run: `echo '{ "threads": 1, "memory": "1GiB" }' > quern.config.json`,
      },
      { does: "As JSON", run: "quern config --json" },
      { does: "A JSON schema for editors", run: "quern config --schema > quern.schema.json" },
    ],
    environment: ["QUERN_THREADS", "QUERN_MEMORY", "QUERN_KERNELS", "XDG_CONFIG_HOME"],
    seeAlso: ["doctor"],
  });
  command.addOption(new Option("--schema", "print the JSON schema of settings files").conflicts("json"));
  addAnswerOptions(command).action(async ({ json, schema, quiet }: ConfigOptions) => {
    if (schema) {
      host.stdout.write(`${JSON.stringify(settingsSchema(), undefined, 2)}\n`);
      return;
    }
    const { effective, files, warnings } = await readSettings(host);
    if (!quiet) writeWarnings(warnings, host);
    if (json) writeJsonLine(host.stdout, { settings: effective.map(record), files });
    else host.stdout.write(format(effective, host));
  });
}

function record({ setting, value, source }: EffectiveSetting): Record<string, unknown> {
  return { key: setting.key, value: value ?? null, source: source ?? { kind: "default" } };
}

function format(effective: readonly EffectiveSetting[], host: Host): string {
  const table = formatTable({
    columns: [{ title: "Setting" }, { title: "Value" }, { title: "From" }, { title: "What it is" }],
    rows: effective.map(({ setting, value, source }) => [
      setting.key,
      value === undefined ? setting.usual : printable(valueText(value)),
      source === undefined ? "default" : printable(source.name),
      setting.description,
    ]),
    style: styleFor(host.stdout, host.env),
  });
  const { project, user } = settingsFiles(host);
  return `${table}\nFiles: ${printable(project)}, then ${printable(user)}\n`;
}

function valueText(value: string | boolean): string {
  if (typeof value === "string") return value;
  return value ? "yes" : "no";
}
