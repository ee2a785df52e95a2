import { CONTAINERS, describeRecipe, PRESETS } from "@quern/recipes";
import { Argument, type Command, Option } from "commander";
import { suggest } from "../completions/suggestions.ts";
import { formatRecipeHeader, formatRecipeList } from "../format/recipes.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { readRecipe } from "./read-recipe.ts";
import { addAnswerOptions } from "./shared-options.ts";

interface RecipesOptions {
  readonly json?: true;
  readonly schema?: true;
}

export function defineRecipes(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "A recipe says how a model is quantized: format, bits, groups, rounding, transforms, and exceptions for some layers.",
    ],
    examples: [
      { does: "List all recipes", run: "quern recipes" },
      { does: "Save one as a file to edit", run: "quern recipes w4a16 > mine.yaml" },
      { does: "A JSON schema for editors", run: "quern recipes --schema > recipe.schema.json" },
      {
        does: "Use the edited file",
        run: "quern plan model --recipe mine.yaml --statistics statistics.safetensors",
      },
    ],
    seeAlso: ["convert", "calibrate"],
  });
  addAnswerOptions(command)
    .addArgument(
      suggest(new Argument("[recipe]", "name, or file: shown as a file that can be edited and used"), {
        values: PRESETS.map(({ name }) => name),
        files: true,
      }),
    )
    .addOption(
      new Option("--schema", "the JSON schema of recipe files, for editors that check them").conflicts(
        "json",
      ),
    )
    .action(async (recipe: string | undefined, { json, schema }: RecipesOptions) => {
      if (schema) {
        const { recipeSchema } = await import("@quern/recipes/file");
        host.stdout.write(`${JSON.stringify(recipeSchema(), undefined, 2)}\n`);
      } else if (recipe !== undefined) {
        await showRecipe(recipe, json === true, host);
      } else if (json) {
        writeJsonLine(host.stdout, PRESETS.map(describeRecipe));
      } else {
        const style = styleFor(host.stdout, host.env);
        const recipes = PRESETS.map(describeRecipe);
        host.stdout.write(formatRecipeList({ recipes, containers: CONTAINERS, style }));
      }
    });
}

async function showRecipe(name: string, json: boolean, host: Host): Promise<void> {
  const recipe = await readRecipe({ recipe: name, cwd: host.cwd });
  const description = describeRecipe(recipe);
  if (json) {
    writeJsonLine(host.stdout, { ...description, recipe });
    return;
  }
  const { recipeText } = await import("@quern/recipes/file");
  host.stdout.write(`${formatRecipeHeader(description)}${recipeText(recipe)}`);
}
