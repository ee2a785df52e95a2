// Checks what the packages would publish: package.json against the files (publint) and the types that TypeScript users would
// resolve (attw, ESM only). Reads the built dist folders.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const binaries = join(root, "node_modules", ".bin");
let failures = 0;

for (const folder of ["packages", "apps"].flatMap((group) =>
  readdirSync(join(root, group)).map((name) => join(root, group, name)),
)) {
  const { name, bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  check(name, "publint", [join(binaries, "publint"), "run", "--strict", folder]);
  if (!bin) {
    const tarball = pack(folder);
    check(name, "attw", [join(binaries, "attw"), tarball, "--profile", "esm-only", "--format", "ascii"]);
    rmSync(tarball);
  }
}
process.exitCode = failures > 0 ? 1 : 0;

function pack(folder) {
  const { stdout, status } = spawnSync(
    join(binaries, "pnpm"),
    ["pack", "--json", "--pack-destination", tmpdir()],
    {
      cwd: folder,
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(`pnpm pack failed in ${folder}: ${stdout}`);
  return JSON.parse(stdout).filename;
}

function check(name, tool, [command, ...commandArguments]) {
  const { status, stdout, stderr } = spawnSync(command, commandArguments, { encoding: "utf8" });
  if (status === 0) {
    console.log(`${tool.padEnd(8)} ${name}: ok`);
    return;
  }
  failures += 1;
  console.error(`${tool.padEnd(8)} ${name}: failed\n${stdout}${stderr}`);
}
