import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { QuernError } from "@quern/tensor";

/**
 * A module of the same package that threads can load. Node 20 runs no TypeScript in workers: code that runs from its sources (`src`)
 * gets the compiled module (`dist`).
 *
 * @param path As in an import: "./slab-service.ts".
 * @param base `import.meta.url` of the caller.
 * @throws QuernError `WORKER_MISSING` when the package has not been built
 */
export function compiledModule(path: string, base: string): URL {
  const url = new URL(path.replace(/\.ts$/, ".js"), base);
  if (base.endsWith(".ts")) {
    const sources = url.pathname.lastIndexOf("/src/");
    url.pathname = `${url.pathname.slice(0, sources)}/dist/${url.pathname.slice(sources + "/src/".length)}`;
  }
  if (existsSync(url)) return url;
  const file = fileURLToPath(url);
  throw new QuernError("WORKER_MISSING", `${file} is missing: build the package first, or use no threads`, {
    subject: { file },
  });
}
