import type { Command } from "commander";
import type { Host } from "../host.ts";
import { registerImatrixCompute } from "./imatrix-compute.ts";
import { registerImatrixMerge } from "./imatrix-merge.ts";
import { registerImatrixShow } from "./imatrix-show.ts";

export function registerImatrix(program: Command, host: Host): void {
  const imatrix = program
    .command("imatrix")
    .description(
      "Compute an importance matrix (quern imatrix <model>), as llama-imatrix does; or show and combine some.",
    );
  registerImatrixCompute(imatrix, host);
  registerImatrixShow(imatrix, host);
  registerImatrixMerge(imatrix, host);
}
