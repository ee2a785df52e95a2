import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COMMANDS } from "./commands.ts";
import { EXIT_CODE_MEANINGS } from "./exit-codes.ts";
import { type MarkdownBlock, markdownBlocks } from "./testing/examples/markdown-blocks.ts";
import { Sandbox } from "./testing/examples/sandbox.ts";
import { runsInTests, shellStatements } from "./testing/examples/shell-statements.ts";
import {
  compileModules,
  exampleModules,
  linkPackages,
  moduleOfPieces,
} from "./testing/examples/typescript-blocks.ts";
import { repositoryFiles } from "./testing/repository-files.ts";
import { repositoryPath } from "./testing/run-cli.ts";

const GUIDES = readdirSync(repositoryPath("docs"))
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);
const PACKAGES = readdirSync(repositoryPath("packages")).map((name) => `packages/${name}/README.md`);
const DOCUMENTS = ["README.md", "CONTRIBUTING.md", "apps/converter/README.md", ...GUIDES, ...PACKAGES];

/** What instructions name that is in llama.cpp. */
const FOREIGN_NAMES: ReadonlySet<string> = new Set(["MODEL_TENSORS"]);

const blocks = DOCUMENTS.flatMap(markdownBlocks);

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await Sandbox.open();
});
afterAll(async () => sandbox?.close());

describe("shell examples", () => {
  const files = [...new Set(blocks.filter(({ language }) => language === "sh").map(({ file }) => file))];

  it.concurrent.each(files)("of %s run", { timeout: 600_000 }, async (file) => {
    const folder = await sandbox.folder();
    const statements = markdownBlocks(file)
      .filter(({ language }) => language === "sh")
      .flatMap(shellStatements);
    for (const { place, text } of statements.filter(runsInTests)) {
      const { code, output } = await sandbox.run(text, folder);
      expect(code, `${place}: ${text}\n${output}`).toBe(0);
    }
  });

  it("are marked as such, or nobody would run them", () => {
    const runs = ({ lines }: MarkdownBlock): boolean =>
      lines.some((line) => /^\s*(\$ |npx )?quern /.test(line));
    const unmarked = blocks.filter((block) => block.language !== "sh" && runs(block));
    expect(unmarked.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
  });
});

/** Of a module that a browser runs, or that reads from the network: they are compiled alone. */
const ELSEWHERE = /\bdocument\.|"https:/;

describe("TypeScript examples", () => {
  const files = DOCUMENTS.filter((file) => file.startsWith("docs/guide-") || file.startsWith("packages/"));
  const examples = files
    .map((file) => ({ file, blocks: markdownBlocks(file).filter(({ language }) => language === "ts") }))
    .filter((example) =>
      example.blocks.some(({ lines }) => lines.some((line) => line.startsWith("import "))),
    );

  it.concurrent.each(examples)("of $file compile, and run", { timeout: 600_000 }, async ({ blocks }) => {
    const folder = await sandbox.folder();
    await linkPackages(folder);
    const modules = exampleModules(blocks).map((one) => ({ ...one, text: sandbox.addressed(one.text) }));
    await compileModules(modules, folder);
    for (const { path, text, isPart } of modules) {
      if (isPart || ELSEWHERE.test(text) || !sandbox.canRun(text)) continue;
      const { code, output } = await sandbox.run(`node ${path}`, folder);
      expect(code, `${path}\n${output}`).toBe(0);
    }
  });

  it("of instructions fit into the folders that they speak of", { timeout: 600_000 }, async () => {
    const folder = await sandbox.folder();
    await linkPackages(folder);
    const pieces = (file: string): MarkdownBlock[] =>
      markdownBlocks(file).filter(({ language }) => language === "ts");
    const modules = [
      moduleOfPieces({
        path: "architecture.js",
        pieces: pieces("docs/HOWTO-add-an-architecture.md"),
        source: "packages/models/src/architectures",
        around: (record, fields) => `${record.replace(/\};\s*$/, "")}${fields}};`,
        folder,
      }),
      moduleOfPieces({
        path: "recipe.js",
        pieces: pieces("docs/HOWTO-add-a-recipe.md"),
        source: "packages/recipes/src/presets",
        around: (recipe) =>
          `export const recipes: Array<import("./../recipe.ts").QuantizationRecipe> = [${recipe}];`,
        folder,
      }),
    ];
    await compileModules(modules, folder, false);
    const instructions = DOCUMENTS.filter((file) => file.includes("HOWTO") && pieces(file).length > 0);
    expect(instructions.sort()).toEqual(["docs/HOWTO-add-a-recipe.md", "docs/HOWTO-add-an-architecture.md"]);
  });

  it("are there in guides, and in READMEs of packages", () => {
    expect(examples.filter(({ file }) => file.startsWith("docs/")).length).toBeGreaterThan(0);
    const without = PACKAGES.filter((name) => examples.every(({ file }) => file !== name));
    expect(without).toEqual([]);
  });

  it("of packages import what there is", async () => {
    const missing: string[] = [];
    for (const { file, line, lines } of blocks.filter(({ language }) => /^[jt]s$/.test(language))) {
      for (const [, names, from] of lines.join("\n").matchAll(/^import \{([^}]*)\} from "([^"]+)";/gm)) {
        const known = exportedNames(from!);
        if (known === undefined) continue;
        for (const name of names!.split(",").map((word) => word.trim().replace(/^type | as .*/g, ""))) {
          if (name !== "" && !known.has(name)) missing.push(`${file}:${line}: ${name} from ${from}`);
        }
      }
    }
    expect(missing).toEqual([]);
  });
});

/** Names that a package of this repository exports; undefined for others. */
function exportedNames(specifier: string): Set<string> | undefined {
  const [, name, entry] = /^(@quern\/[\w-]+|safetensors-js|quern)(\/.*)?$/.exec(specifier) ?? [];
  const folder =
    name === "safetensors-js" ? "packages/safetensors" : `packages/${name?.slice("@quern/".length)}`;
  if (name === undefined) return undefined;
  const path = name === "quern" ? "apps/converter" : folder;
  const { exports } = JSON.parse(readFileSync(repositoryPath(`${path}/package.json`), "utf8")) as {
    exports: Record<string, { "@quern/source": string }>;
  };
  const source = exports[`.${entry ?? ""}`]?.["@quern/source"];
  if (source === undefined) return new Set();
  return namesIn(`${path}/${source}`);
}

function namesIn(file: string): Set<string> {
  const text = readFileSync(repositoryPath(file), "utf8");
  const lists = Array.from(text.matchAll(/export (?:type )?\{([^}]*)\}/g), ([, list]) => list!.split(","));
  const own = Array.from(text.matchAll(/^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm));
  return new Set([
    ...lists.flat().map((word) => word.trim().replace(/^type |.* as /g, "")),
    ...own.map(([, name]) => name!),
  ]);
}

it("has no link to what is not there", () => {
  const dead = DOCUMENTS.flatMap((file) =>
    Array.from(
      readFileSync(repositoryPath(file), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)/g),
      ([, target]) => posix.join(posix.dirname(file), target!),
    )
      .filter((target) => !existsSync(repositoryPath(target)))
      .map((target) => `${file}: ${target}`),
  );
  expect(dead).toEqual([]);
});

it("names only files and properties that exist in instructions", () => {
  const files = ["packages", "tools", "apps", "fixtures"].flatMap(repositoryFiles).map((name) => `/${name}`);
  const sources = files
    .filter((name) => /\.(ts|mjs|py)$/.test(name) && !name.endsWith("/documentation.test.ts"))
    .map((name) => readFileSync(repositoryPath(`.${name}`), "utf8"))
    .join("\n");
  const unknown = GUIDES.filter((file) => file.includes("HOWTO")).flatMap((file) => {
    const text = readFileSync(repositoryPath(file), "utf8").replaceAll(/^```[^]*?^```/gm, "");
    return Array.from(text.matchAll(/`([\w./-]+)`/g), ([, word]) => word!)
      .filter((word) => {
        const isPath = /\.(ts|mjs)$/.test(word) || word.endsWith("/");
        if (isPath) return !files.some((name) => `${name}/`.includes(`/${word.replace(/\/$/, "")}`));
        return /^[a-zA-Z_]\w+$/.test(word) && !sources.includes(word) && !FOREIGN_NAMES.has(word);
      })
      .map((word) => `${file}: ${word}`);
  });
  expect(unknown).toEqual([]);
});

it("lists every command in the table of the command line", () => {
  const text = readFileSync(repositoryPath("apps/converter/README.md"), "utf8");
  expect(COMMANDS.filter(({ name }) => !text.includes(`\n| \`quern ${name}`))).toEqual([]);
});

describe("tables of exit codes", () => {
  it.each(["README.md", "apps/converter/README.md"])("in %s say what the program does", (file) => {
    const rows = Array.from(
      readFileSync(repositoryPath(file), "utf8").matchAll(/^\| (\d+) \| (.+) \|$/gm),
      ([, code, meaning]) => [code, meaning!.replaceAll("`", "")],
    );
    expect(rows).toEqual(Object.entries(EXIT_CODE_MEANINGS));
  });
});
