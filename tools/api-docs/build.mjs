// Builds the reference of all public packages as HTML in `html`; ends with an error when something public has no comment, or a link leads
// nowhere. `--check` writes nothing. TypeScript 7 has no compiler interface, so that this package has its own TypeScript 6.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Application } from "typedoc";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = fileURLToPath(new URL(".", import.meta.url));

/** Sources of the entry points of a package; those of tests are not published. */
function entryPoints(path) {
  const { exports, private: isPrivate } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
  if (isPrivate) return [];
  return Object.entries(exports)
    .filter(([name, target]) => typeof target === "object" && "default" in target && name !== "./package.json")
    .map(([, target]) => join(root, path, target["@quern/source"]));
}

const packages = readdirSync(join(root, "packages")).map((name) => join("packages", name));
const app = await Application.bootstrap({
  name: "Quern",
  entryPoints: [...packages, "apps/converter"].flatMap(entryPoints),
  tsconfig: join(folder, "tsconfig.json"),
  basePath: root,
  displayBasePath: root,
  readme: join(root, "docs", "README.md"),
  out: join(folder, "html"),
  excludeExternals: true,
  excludePrivate: true,
  excludeInternal: true,
  gitRevision: "main",
  disableSources: true,
  requiredToBeDocumented: ["Class", "Enum", "Function", "Interface", "TypeAlias", "Variable"],
  validation: { invalidLink: true, invalidPath: true, notDocumented: true, notExported: true, rewrittenLink: true, unusedMergeModuleWith: true },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
});
const project = await app.convert();
if (project === undefined) process.exit(1);
app.validate(project);
if (!app.logger.hasErrors() && !app.logger.hasWarnings() && !process.argv.includes("--check")) {
  await app.generateOutputs(project);
  console.log(`${relative(process.cwd(), join(folder, "html", "index.html"))}`);
}
process.exit(app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0);
