import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import koffi, { type LibraryHandle } from "koffi";
import type { GgmlQuantizeParams, GgmlType } from "./ggml-library.ts";

/** Koffi unloads a library that nothing refers to. */
const loaded: LibraryHandle[] = [];

const SOURCES = fileURLToPath(new URL("../../csrc", import.meta.url));

/** `quern_type` and `quern_unit` of csrc/kernel.h. */
const kernelType = koffi.struct({
  name: "const char *",
  block_size: "int32_t",
  type_size: "int32_t",
  quantize: "void *",
  dequantize: "void *",
  halves: koffi.struct({
    exponent: "uint16_t",
    count: "int32_t",
    offsets: koffi.array("int32_t", 2),
    read: "void *",
  }),
  ends: koffi.struct({
    group: "int32_t",
    at: koffi.array("int8_t", 4),
    field_count: "int32_t",
    fields: koffi.array(
      koffi.struct({ offset: "int32_t", length: "int32_t", codes: "uint64_t", kept: "uint64_t" }),
      3,
    ),
  }),
  is_float: "bool",
  requires_importance: "bool",
});
const unit = koffi.struct({
  isa: "const char *",
  type_count: "int32_t",
  types: "void *",
  quantize_rows: "void *",
  measure_rows: "void *",
});
const quantizeRows = koffi.proto(
  "void (const void *source, void *target, int64_t rows, int64_t columns, const void *importance)",
);

/** The first C compiler that answers. */
export function findCompiler(): string | undefined {
  return [process.env["CC"], "cc", "clang", "gcc"].find(
    (command) => command && spawnSync(command, ["--version"]).status === 0,
  );
}

/** Compiles csrc/kernels.c and the grids with these flags into a library of its own, and returns its `quantize` for whole rows. */
export async function compileKernels(
  compiler: string,
  flags: readonly string[],
): Promise<(params: GgmlQuantizeParams) => void> {
  const folder = mkdtempSync(join(tmpdir(), "quern-kernels-"));
  try {
    const output = join(folder, "kernels.so");
    // GCC fuses nothing below -O2.
    const common = [
      "-std=c11",
      "-O2",
      "-Wno-psabi",
      "-fPIC",
      "-shared",
      `-I${SOURCES}`,
      "-DQUERN_ISA=control",
    ];
    const units = ["kernels.c", "grids/grids.c"].map((unit) => join(SOURCES, unit));
    await promisify(execFile)(compiler, [...common, ...flags, ...units, "-o", output]);
    const library = koffi.load(output);
    loaded.push(library);
    return quantizeOf(library);
  } finally {
    // What is loaded stays so without its file.
    rmSync(folder, { recursive: true });
  }
}

function quantizeOf(library: LibraryHandle): (params: GgmlQuantizeParams) => void {
  const { types, type_count: count } = koffi.decode(library.symbol("quern_unit_control"), unit);
  const functions = new Map<GgmlType, unknown>();
  for (let i = 0; i < count; i++) {
    const { name, quantize } = koffi.decode(types, i * koffi.sizeof(kernelType), kernelType);
    functions.set(name, quantize);
  }
  return ({ type, source, target, rows, columns, importance }) => {
    koffi.call(functions.get(type), quantizeRows, source, target, rows, columns, importance ?? null);
  };
}
