import type { Container, RecipeDescription, StatisticsNeed } from "@quern/recipes";
import type { Style } from "./style.ts";
import { formatTable } from "./table.ts";

/** What is needed besides the model, in a word. */
const NEEDS: Readonly<Record<StatisticsNeed, string>> = {
  none: "",
  channels: "statistics",
  hessian: "statistics",
};

/** All recipes, by what they make. */
export function formatRecipeList(params: {
  readonly recipes: readonly RecipeDescription[];
  readonly containers: readonly Container[];
  readonly style: Style;
}): string {
  const { recipes, containers, style } = params;
  const tables = containers.flatMap(({ name, description, recipe: usual }) => {
    const own = recipes.filter(({ container }) => container === name);
    const table = formatTable({
      columns: [
        { title: "Recipe" },
        { title: "Bits/weight", align: "right" },
        { title: "Needs" },
        { title: "Loaded by" },
        { title: "What it is" },
      ],
      rows: own.map((recipe) => [
        recipe.name === usual ? `${recipe.name} *` : recipe.name,
        recipe.bitsPerWeight.toFixed(2),
        NEEDS[recipe.statistics],
        recipe.loaders.join(", "),
        recipe.description,
      ]),
      style,
    });
    return [`${style.bold(`--to ${name}`)}  ${description}\n${table}`];
  });
  return `${tables.join("\n")}
* taken when only the container is named. Bits per weight are those of a layer of 4096 x 4096.
Statistics are made by "quern calibrate". Types of GGUF files: "quern types".
`;
}

/** What a recipe makes and takes, as comments. */
export function formatRecipeHeader(recipe: RecipeDescription): string {
  const { container, bitsPerWeight, statistics, loaders } = recipe;
  const needs = {
    none: "nothing but the model",
    channels: 'statistics of "quern calibrate --no-hessians" or more',
    hessian: 'statistics of "quern calibrate"',
  }[statistics];
  return [
    `makes ${container}, ${bitsPerWeight.toFixed(2)} bits per weight; needs ${needs}`,
    `loaded by ${loaders.join(", ") || "nothing that is known"}`,
  ]
    .map((line) => `# ${line}\n`)
    .join("");
}
