// Compiles csrc/ into dist/quern-kernels.wasm (with the Clang of @yowasp/clang, which runs inside Node) and
// dist/quern-kernels.node (with the C compiler of the machine, if there is one). Outputs that are newer than every input are
// left alone. Each output is made elsewhere and put in place by renaming it, so that builds may run at the same time.
import { spawn } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));
const sources = join(root, "csrc");
const dist = join(root, "dist");

/** Kernels agree to the bit only if no compiler fuses a multiplication with an addition. Lanes of integers may wrap around. */
const COMMON = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fwrapv", "-Wall", "-Wextra"];
/** Rows of the table of types leave out what they do not have. */
COMMON.push("-Wno-missing-field-initializers");

/** Per processor: the instruction sets that kernels.c and math/math.c are compiled for, and what that takes. */
const INSTRUCTION_SETS = {
  x64: {
    baseline: ["-march=x86-64"],
    avx2: ["-march=x86-64", "-mavx2", "-mfma"],
    avx512: [
      "-march=x86-64",
      "-mavx512f",
      "-mavx512bw",
      "-mavx512dq",
      "-mavx512vl",
      "-mprefer-vector-width=512",
    ],
  },
  arm64: { neon: [] },
};
const LINK = {
  linux: ["-shared", "-Wl,--gc-sections"],
  darwin: ["-bundle", "-undefined", "dynamic_lookup"],
};

const print = (line) => process.stdout.write(`${line}\n`);

mkdirSync(dist, { recursive: true });
const newestInput = Math.max(
  ...[fileURLToPath(import.meta.url), ...files(sources).map((name) => join(sources, name))].map(
    (path) => statSync(path).mtimeMs,
  ),
);
await Promise.all([
  buildUnlessNewer("quern-kernels.wasm", buildWasm),
  buildUnlessNewer("quern-kernels.node", buildAddon),
]);

async function buildUnlessNewer(name, build) {
  const output = join(dist, name);
  if ((statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newestInput) return;
  const start = new Date();
  const work = mkdtempSync(join(tmpdir(), "quern-kernels-"));
  try {
    const result = join(work, name);
    if (await build(work, result)) {
      const complete = `${output}.${process.pid}.partial`;
      copyFileSync(result, complete);
      // Inputs that changed while the compiler ran must look newer.
      utimesSync(complete, start, start);
      renameSync(complete, output);
      print(`Built dist/${name} in ${((Date.now() - start.getTime()) / 1000).toFixed(1)} s.`);
    } else {
      // Better none than one of other sources.
      rmSync(output, { force: true });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function buildWasm(_work, output) {
  const { runClang } = await import("@yowasp/clang");
  const tree = {};
  for (const name of files(sources)) {
    const parts = name.split("/");
    let folder = tree;
    for (const part of parts.slice(0, -1)) folder = folder[part] ??= {};
    folder[parts.at(-1)] = readFileSync(join(sources, name));
  }
  // Loads the compiler, which otherwise prints its progress.
  await runClang(null, {}, { fetchProgress: () => {} });
  const messages = [];
  const log = (bytes) => bytes && messages.push(Buffer.from(bytes));
  const command = [
    "clang",
    "--target=wasm32",
    "-msimd128",
    "-mbulk-memory",
    // Strength reduction turns loads with constant offsets into additions that nobody can prove not to wrap around.
    "-mllvm",
    "-disable-lsr",
    ...COMMON,
    "-I.",
    "-DQUERN_ISA=simd128",
  ];
  command.push(
    "-nostdlib",
    "-Wl,--no-entry",
    "-Wl,--export=__heap_base",
    "-Wl,-z,stack-size=262144",
    "-Wl,--stack-first",
  );
  command.push("-Wl,--strip-all", "kernels.c", "math/math.c", "wasm.c", "grids/grids.c");
  command.push("-o", "kernels.wasm");
  try {
    const result = await runClang(command, tree, { stdout: log, stderr: log });
    writeFileSync(output, result["kernels.wasm"]);
  } catch (error) {
    // The error carries the whole file tree; its message and what Clang said are enough.
    print(`The Wasm kernels did not compile: ${error.message}\n${Buffer.concat(messages)}`);
    process.exitCode = 1;
    return false;
  }
  if (messages.length > 0) print(`${Buffer.concat(messages)}`);
  return true;
}

async function buildAddon(work, output) {
  const skip = (why) => {
    print(`No native kernels: ${why}. The Wasm kernels do the same work, slower.`);
    return false;
  };
  const instructionSets = INSTRUCTION_SETS[process.arch];
  const link = LINK[process.platform];
  if (!instructionSets || !link) return skip(`none exist for ${process.platform} on ${process.arch}`);
  const compiler = await findCompiler();
  if (!compiler) return skip("no C compiler found (tried $CC, cc, clang, gcc)");

  const { include_dir: headers } = (await import("node-api-headers")).default;
  const compile = [...COMMON, "-fPIC", "-fvisibility=hidden", "-Wno-psabi", `-I${sources}`, "-c"];
  const units = Object.entries(instructionSets).flatMap(([isa, flags]) =>
    ["kernels.c", "math/math.c"].map((source) => ({
      object: join(work, `${isa}-${basename(source)}.o`),
      command: [...compile, ...flags, `-DQUERN_ISA=${isa}`, join(sources, source)],
    })),
  );
  units.push(
    {
      object: join(work, "addon.o"),
      command: [...compile, "-DNAPI_VERSION=8", `-I${headers}`, join(sources, "addon.c")],
    },
    { object: join(work, "grids.o"), command: [...compile, join(sources, "grids/grids.c")] },
  );
  const results = await Promise.all(
    units.map(({ object, command }) => run(compiler, [...command, "-o", object])),
  );
  results.push(
    results.every(({ ok }) => ok)
      ? await run(compiler, [...link, ...units.map(({ object }) => object), "-o", output])
      : { ok: false, text: "" },
  );
  const text = results.map((result) => result.text).join("");
  if (text) print(text);
  return results.every(({ ok }) => ok) || skip(`${compiler.join(" ")} failed, see above`);
}

/** The command of the first compiler that answers. */
async function findCompiler() {
  const candidates = [process.env.CC, "cc", "clang", "gcc"]
    .filter(Boolean)
    .map((command) => command.trim().split(/\s+/));
  for (const candidate of candidates) {
    if ((await run(candidate, ["--version"])).ok) return candidate;
  }
  return undefined;
}

function run([command, ...first], rest) {
  return new Promise((resolve) => {
    const child = spawn(command, [...first, ...rest], { stdio: ["ignore", "pipe", "pipe"] });
    const text = [];
    child.stdout.on("data", (bytes) => text.push(bytes));
    child.stderr.on("data", (bytes) => text.push(bytes));
    child.on("error", (error) => resolve({ ok: false, text: error.message }));
    child.on("close", (code) => resolve({ ok: code === 0, text: Buffer.concat(text).toString() }));
  });
}

/** Paths below `folder` of its .c and .h files, "/"-separated. */
function files(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => /\.[ch]$/.test(name))
    .sort();
}
