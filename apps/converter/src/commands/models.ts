import { supportedClasses } from "@quern/models";
import type { Command } from "commander";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";

export function defineModels(command: Command, host: Host): void {
  command.option("--json", "as JSON on standard output").action((options: { readonly json?: true }) => {
    const classes = supportedClasses();
    if (options.json) {
      writeJsonLine(host.stdout, classes);
    } else {
      host.stdout.write(`${classes.join("\n")}\n`);
    }
  });
}
