import { availableParallelism, freemem, totalmem } from "node:os";
import { kernelInfo, loadKernels } from "@quern/kernels";
import { formatBytes } from "../format/bytes.ts";
import { version } from "../version.ts";
import { type Finding, ok, problem, warning } from "./finding.ts";

/** package.json asks for it, too. */
const LEAST_NODE = [20, 19] as const;

/** Programs, processor and memory. */
export async function checkMachine(): Promise<Finding[]> {
  return [checkProgram(), ...(await checkKernels()), ok("threads", describeThreads()), checkMemory()];
}

function checkProgram(): Finding {
  const text = `quern ${version} on Node ${process.versions.node}, ${process.platform} ${process.arch}`;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [needMajor, needMinor] = LEAST_NODE;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return ok("program", text);
  return problem("program", text, `Install Node ${LEAST_NODE.join(".")} or newer.`);
}

/** The kernels that run, and why; then what other backends could do. */
async function checkKernels(): Promise<Finding[]> {
  const backends = await kernelInfo();
  const failures = backends.flatMap(({ backend, failure }) =>
    failure === undefined ? [] : `${backend}: ${failure}`,
  );
  const there = backends
    .filter(({ failure }) => failure === undefined)
    .map(({ backend, isas }) => `${backend} (${isas.join(", ")})`);
  const name = "kernels";
  try {
    const { info } = await loadKernels();
    const text = `${info.backend} ${info.isa}: ${info.reason}; there are ${there.join(" and ")}`;
    if (failures.length === 0) return [ok(name, text)];
    const advice =
      "Results are the same, at a third to a half of the speed. Install a C compiler and build again, or the package of this platform.";
    return [warning(name, `${text}; does not load: ${failures.join("; ")}`, advice)];
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return [problem(name, [text, ...failures].join("; "), "Look at QUERN_KERNELS and QUERN_KERNELS_ISA.")];
  }
}

function describeThreads(): string {
  return `${availableParallelism()} at once`;
}

/** Budgets that are not given are a part of the machine's memory; a control group may allow less. */
function checkMemory(): Finding {
  const total = totalmem();
  const limit = process.constrainedMemory();
  const isLimited = limit > 0 && limit < total;
  const text = `${formatBytes(total)}, ${formatBytes(freemem())} of it free${isLimited ? `; this process may use ${formatBytes(limit)} (control group)` : ""}`;
  if (isLimited && limit < total / 2) {
    return warning(
      "memory",
      text,
      `Default budgets are a quarter or half of the machine's: pass --memory ${Math.max(1, Math.floor(limit / 2 ** 21))}MiB, or set it with QUERN_MEMORY.`,
    );
  }
  return ok("memory", text);
}
