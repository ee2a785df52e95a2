import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { repositoryPath } from "../run-cli.ts";
import type { MarkdownBlock } from "./markdown-blocks.ts";

const OPTIONS = {
  target: "ES2023",
  lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
  module: "nodenext",
  strict: true,
  noUncheckedIndexedAccess: true,
  rewriteRelativeImportExtensions: true,
  skipLibCheck: true,
  types: ["node"],
};

/** Packages of this repository, and what types need, as if they were installed. */
export async function linkPackages(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  await mkdir(join(modules, "@quern"), { recursive: true });
  await mkdir(join(modules, "@types"));
  const packages = [
    ...(await readdir(repositoryPath("packages"))).map((name) => `packages/${name}`),
    "apps/converter",
  ];
  for (const path of packages) {
    const text = await readFile(repositoryPath(`${path}/package.json`), "utf8");
    await symlink(repositoryPath(path), join(modules, (JSON.parse(text) as { name: string }).name));
  }
  await symlink(repositoryPath("node_modules/@types/node"), join(modules, "@types", "node"));
}

/** A module of the documentation. */
export interface ExampleModule {
  /** "guide-library-line-9.js", or as its first line calls it. */
  readonly path: string;
  readonly text: string;
  /** Whether it is for others to import. */
  readonly isPart: boolean;
}

/**
 * The modules that blocks of one file make. A block with imports begins one, those without go on with it; one that begins with a comment such as
 * `// sum-service.ts: ...` is that file.
 */
export function exampleModules(blocks: readonly MarkdownBlock[]): ExampleModule[] {
  const modules: ExampleModule[] = [];
  for (const { file, line, lines } of blocks) {
    const text = lines.join("\n");
    const [, name] = /^\/\/ ([\w-]+)\.ts:/.exec(text) ?? [];
    const last = modules.at(-1);
    if (last !== undefined && !/^import /m.test(text)) {
      modules[modules.length - 1] = { ...last, text: `${last.text}\n${text}` };
    } else {
      const place = `${file.replace(/^docs\/|\/README\.md$|\.md$/g, "").replaceAll("/", "-")}-line-${line}`;
      modules.push({ path: `${name ?? place}.js`, text, isPart: name !== undefined });
    }
  }
  return modules;
}

/**
 * A module of pieces of code that stand in modules of a folder of this repository, as instructions show them.
 *
 * @param params.source That folder, relative to the repository.
 * @param params.around Makes of the code, without its imports, what a module can hold.
 * @param params.folder Of the module.
 */
export function moduleOfPieces(params: {
  readonly path: string;
  readonly pieces: readonly MarkdownBlock[];
  readonly source: string;
  readonly around: (...pieces: readonly string[]) => string;
  readonly folder: string;
}): ExampleModule {
  const { path, pieces, source, around, folder } = params;
  const place = relative(folder, repositoryPath(source));
  const lines = pieces.flatMap((piece) => piece.lines);
  const imports = lines.filter((line) => line.startsWith("import ")).join("\n");
  const code = pieces.map((piece) => piece.lines.filter((line) => !line.startsWith("import ")).join("\n"));
  const text = `${imports}\n${around(...code)}`.replaceAll(/(from |import\()"\.\//g, `$1"${place}/`);
  return { path, text, isPart: true };
}

/** Checks and compiles modules. @param emits Whether anything is written. */
export async function compileModules(
  modules: readonly ExampleModule[],
  folder: string,
  emits = true,
): Promise<void> {
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const files = modules.map(({ path }) => path.replace(/js$/, "ts"));
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { ...OPTIONS, noEmit: !emits }, files }),
  );
  for (const [index, { text }] of modules.entries()) await writeFile(join(folder, files[index]!), text);
  const compiler = repositoryPath("node_modules/typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout ?? String(error), { cause: error });
  }
}
