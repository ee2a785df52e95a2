import { supportedClasses } from "@quern/models";
import type { Command } from "commander";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { addAnswerOptions } from "./shared-options.ts";

export function defineModels(command: Command, host: Host): void {
  addManual(command, {
    examples: [{ does: "One per line", run: "quern models" }],
    seeAlso: ["convert", "inspect"],
  });
  addAnswerOptions(command).action((options: { readonly json?: true }) => {
    const classes = supportedClasses();
    if (options.json) {
      writeJsonLine(host.stdout, classes);
    } else {
      host.stdout.write(`${classes.join("\n")}\n`);
    }
  });
}
