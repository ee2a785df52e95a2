// The Hub of the tests in a process of its own. It is TypeScript that no package ships: the compiler makes it ready to run.
import { execFileSync, fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/**
 * @param params.id Of the repository.
 * @param params.folder Whose files it has.
 * @param params.scratch Folder for the compiled server.
 * @param params.pace How fast files come: milliseconds until an answer begins (`delay`), and bytes per second of a connection (`rate`).
 * Default: as fast as they can.
 * @returns its address, its process, and what ends it
 */
export async function startHub({ id, folder, scratch, pace }) {
  const main = join(compileHub(scratch), "main.mjs");
  writeFileSync(
    main,
    `import { HubServer } from "./index.js";
const { pace, ...params } = JSON.parse(process.argv[2]);
const server = await HubServer.start(params);
server.pace = pace;
process.send({ endpoint: server.endpoint });
`,
  );
  const child = fork(main, [JSON.stringify({ id, folder, pace })], { execArgv: [] });
  const endpoint = await new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message.endpoint));
    child.once("exit", (code) => reject(new Error(`The server ended with ${code}.`)));
  });
  return { endpoint, pid: child.pid, stop: () => child.kill() };
}

/** @returns the folder with the compiled server, whose main file is index.js */
export function compileHub(scratch) {
  const compiled = join(scratch, "hub-server");
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const entry = join(root, "packages/hub/src/testing/index.ts");
  const flags = [
    "--target",
    "es2023",
    "--module",
    "nodenext",
    "--types",
    "node",
    "--strict",
    "--skipLibCheck",
  ];
  const rules = ["--rewriteRelativeImportExtensions", "--exactOptionalPropertyTypes"];
  execFileSync(
    process.execPath,
    [compiler, entry, "--ignoreConfig", "--outDir", compiled, ...flags, ...rules],
    { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
  );
  writeFileSync(join(compiled, "package.json"), JSON.stringify({ type: "module" }));
  return compiled;
}
