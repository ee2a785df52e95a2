import { execFileSync } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("./write-faults.c", import.meta.url));
const compiler = process.env["CC"] ?? "cc";

/** Which calls fail: those that write, that wait until a file is on disk, that give a file its name, or that remove it. */
type FaultyCall = "write" | "sync" | "place" | "remove";

/** From when on a call fails, and how. */
export interface WriteFault {
  readonly call: FaultyCall;
  /** Part of the path of the files that it fails for. */
  readonly path: string;
  /** Bytes that are written before ("write"), or calls that succeed before. */
  readonly after: number;
  /** "killed": the process ends. */
  readonly error: "EIO" | "ENOSPC" | "killed";
}

/** Whether {@link compileWriteFaults} works here: where the dynamic linker puts a library in front of others, and there is a compiler. */
export const canFailWrites: boolean = process.platform === "linux" && hasCompiler();

function hasCompiler(): boolean {
  try {
    execFileSync(compiler, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Compiles what lets calls fail. @returns path of the library */
export function compileWriteFaults(folder: string): string {
  const library = join(folder, "write-faults.so");
  execFileSync(compiler, ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"]);
  return library;
}

/** The environment of a process for which calls fail. */
export function failingWrites(
  library: string,
  { call, path, after, error }: WriteFault,
): Record<string, string> {
  return {
    LD_PRELOAD: library,
    // Rings of the kernel go round the C library.
    UV_USE_IO_URING: "0",
    WRITE_FAULTS_CALL: call,
    WRITE_FAULTS_PATH: path,
    WRITE_FAULTS_AFTER: String(after),
    WRITE_FAULTS_ERROR: String(error === "killed" ? 0 : constants.errno[error]),
  };
}
