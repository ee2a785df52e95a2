// Builds the reference of all public packages as HTML in `html`; ends with an error when something public has no comment, or a link leads
// nowhere. `--check` writes nothing. TypeScript 7 has no compiler interface, so that this package has its own TypeScript 6.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Application } from "typedoc";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = fileURLToPath(new URL(".", import.meta.url));

/** Name of a package, and sources of its entry points; those of tests are not published. */
function readPackage(path) {
  const { name, exports } = JSON.parse(readFileSync(join(root, path, "package.json"), "utf8"));
  const entryPoints = Object.values(exports)
    .filter((target) => typeof target === "object" && "default" in target)
    .map((target) => join(root, path, target["@quern/source"]));
  return { name, entryPoints };
}

const folders = readdirSync(join(root, "packages")).map((name) => join("packages", name));
const packages = [...folders, "apps/converter"].map(readPackage);
const app = await Application.bootstrap({
  name: "Quern",
  entryPoints: packages.flatMap(({ entryPoints }) => entryPoints),
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
  packagesRequiringDocumentation: packages.map(({ name }) => name),
  // Of interfaces and types of parameters and results, the fields say what they are.
  requiredToBeDocumented: ["Class", "Function", "Variable"],
  validation: {
    invalidLink: true,
    invalidPath: true,
    notDocumented: true,
    notExported: true,
    rewrittenLink: true,
    unusedMergeModuleWith: true,
  },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
});
const project = await app.convert();
if (project === undefined) process.exit(1);
app.validate(project);
if (!app.logger.hasErrors() && !app.logger.hasWarnings() && !process.argv.includes("--check")) {
  await app.generateOutputs(project);
  console.log(relative(process.cwd(), join(folder, "html", "index.html")));
}
process.exit(app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0);
