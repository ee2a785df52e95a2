import { listRecipes } from "@quern/pipeline";
import type { Command } from "commander";
import { formatTable } from "../format/table.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { addAnswerOptions } from "./shared-options.ts";

export function defineTypes(command: Command, host: Host): void {
  addManual(command, {
    examples: [
      { does: "A table", run: "quern types" },
      { does: "As JSON", run: "quern types --json" },
    ],
    seeAlso: ["convert", "quantize", "recipes"],
  });
  addAnswerOptions(command).action((options: { readonly json?: true }) => {
    const recipes = listRecipes();
    if (options.json) {
      writeJsonLine(host.stdout, recipes);
      return;
    }
    host.stdout.write(
      formatTable({
        columns: [
          { title: "Type" },
          { title: "Bits/weight", align: "right" },
          { title: "Equals the file of" },
          { title: "What it is" },
        ],
        rows: recipes.map(({ name, bitsPerWeight, flavours, description }) => [
          name,
          bitsPerWeight?.toFixed(2) ?? "",
          flavours.join(", "),
          description,
        ]),
        style: styleFor(host.stdout, host.env),
      }),
    );
    host.stdout.write("\nBits per weight are those of a Llama 3 model with 8 billion parameters.\n");
  });
}
