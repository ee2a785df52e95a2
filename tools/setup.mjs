// Installs the exact dependencies and builds every package. `npm start` and `npm test` run it first; on a tree that is up
// to date it takes a second or two. Needs nothing but Node and npm.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { engines, packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const windows = process.platform === "win32";

requireNode(engines.node.replace(">=", ""));
const binaries = join(root, "node_modules", ".bin");
const env = {
  ...process.env,
  PATH: `${binaries}${delimiter}${process.env.PATH}`,
  TURBO_TELEMETRY_DISABLED: "1",
  TURBO_NO_UPDATE_NOTIFIER: "1",
};

if (installNeeded()) {
  const seconds = run("npx", [
    "--yes",
    packageManager,
    "install",
    "--frozen-lockfile",
    "--reporter=append-only",
  ]);
  const bytes = await folderSize(join(root, "node_modules"));
  console.log(`Installed in ${seconds} s: node_modules takes ${(bytes / 1e6).toFixed(0)} MB.`);
}
const seconds = run("turbo", ["run", "build", "--output-logs=new-only", "--log-order=grouped"]);
console.log(`Built in ${seconds} s.\n`);

function requireNode(minimum) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [needMajor, needMinor] = minimum.split(".").map(Number);
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return;
  console.error(`Quern needs Node ${minimum} or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

/** The package manager leaves a copy of the lockfile it installed; equal means that nothing changed since. */
function installNeeded() {
  const installed = join(root, "node_modules", ".pnpm", "lock.yaml");
  if (!existsSync(installed) || !existsSync(join(root, "node_modules", ".bin", "turbo"))) return true;
  return readFileSync(installed, "utf8") !== readFileSync(join(root, "pnpm-lock.yaml"), "utf8");
}

function run(command, commandArguments) {
  const start = performance.now();
  const { status, error } = spawnSync(command, commandArguments, {
    cwd: root,
    env,
    stdio: "inherit",
    shell: windows,
  });
  if (error) console.error(`Could not run ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
  return ((performance.now() - start) / 1000).toFixed(1);
}

/** Bytes of regular files, each counted once however many hard links and folders show it. */
async function folderSize(folder, seen = new Set()) {
  let total = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) total += await folderSize(path, seen);
    else if (entry.isFile()) {
      const { dev, ino, size } = await stat(path);
      const identity = `${dev}:${ino}`;
      if (!seen.has(identity)) total += size;
      seen.add(identity);
    }
  }
  return total;
}
