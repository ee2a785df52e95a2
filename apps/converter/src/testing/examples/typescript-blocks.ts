import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { repositoryPath } from "../run-cli.ts";
import type { MarkdownBlock } from "./markdown-blocks.ts";

const OPTIONS = {
  target: "ES2023",
  lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
  module: "nodenext",
  strict: true,
  noUncheckedIndexedAccess: true,
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

/** Checks and compiles blocks, each a module of its own, and gives the paths of what they became. */
export async function compileBlocks(blocks: readonly MarkdownBlock[], folder: string): Promise<string[]> {
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS }));
  const names = blocks.map(({ file, line }) => `${basename(file, ".md")}-line-${line}`);
  for (const [index, { lines }] of blocks.entries()) {
    await writeFile(join(folder, `${names[index]}.ts`), lines.join("\n"));
  }
  const compiler = repositoryPath("node_modules/typescript/bin/tsc");
  try {
    execFileSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout ?? String(error), { cause: error });
  }
  return names.map((name) => join(folder, `${name}.js`));
}
