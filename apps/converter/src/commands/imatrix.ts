import type { Command } from "commander";
import type { Host } from "../host.ts";
import { registerImatrixMerge } from "./imatrix-merge.ts";
import { registerImatrixShow } from "./imatrix-show.ts";

export function registerImatrix(program: Command, host: Host): void {
  const imatrix = program
    .command("imatrix")
    .description("Show and combine importance matrices, as llama-imatrix writes them.");
  registerImatrixShow(imatrix, host);
  registerImatrixMerge(imatrix, host);
}
