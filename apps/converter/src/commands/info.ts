import { availableParallelism, totalmem } from "node:os";
import { type BackendReport, kernelInfo, loadKernels } from "@quern/kernels";
import type { Command } from "commander";
import { formatBytes } from "../format/bytes.ts";
import { printable } from "../format/printable.ts";
import { formatFacts } from "../format/table.ts";
import { KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { styleFor } from "../terminal.ts";
import { version } from "../version.ts";

export function defineInfo(command: Command, host: Host): void {
  addManual(command, {
    examples: [{ does: "What runs here", run: "quern info" }],
    environment: KERNEL_VARIABLES,
  });
  command.action(async () => {
    const { info } = await loadKernels();
    const backends = await kernelInfo();
    host.stdout.write(
      formatFacts({
        facts: [
          ["quern", version],
          ["kernels", `${info.backend} ${info.isa}: ${printable(info.reason)}`],
          ...backends.map((report) => [`  ${report.backend}`, describeBackend(report)] as const),
          ["node", process.version],
          ["platform", `${process.platform} ${process.arch}`],
          ["cores", String(availableParallelism())],
          ["memory", formatBytes(totalmem())],
        ],
        style: styleFor(host.stdout, host.env),
      }),
    );
  });
}

function describeBackend({ isas, failure }: BackendReport): string {
  return failure === undefined ? isas.join(", ") : `does not load: ${printable(failure)}`;
}
