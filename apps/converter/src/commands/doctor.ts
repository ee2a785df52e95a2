import { resolve } from "node:path";
import { QuernError } from "@quern/tensor";
import type { Command } from "commander";
import { checkFolders } from "../doctor/check-folders.ts";
import { checkHub } from "../doctor/check-hub.ts";
import { checkMachine } from "../doctor/check-machine.ts";
import { checkSettings } from "../doctor/check-settings.ts";
import type { Finding } from "../doctor/finding.ts";
import type { Style } from "../format/style.ts";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { styleFor } from "../terminal.ts";
import { addAnswerOptions } from "./shared-options.ts";
import { reportsSettings } from "../settings/apply-settings.ts";

interface DoctorOptions {
  readonly output: string;
  readonly offline?: boolean;
  readonly json?: true;
  readonly quiet?: true;
}

export function defineDoctor(command: Command, host: Host): void {
  reportsSettings(command);
  addManual(command, {
    description: [
      "One line each for version, kernels and why these were chosen, threads, memory (with a container's limit), disk space, cache, settings, token and Hub; problems come with advice. The Hub is asked once, for at most five seconds; the token is sent to it and never shown.",
    ],
    examples: [
      { does: "Everything", run: "quern doctor" },
      { does: "Only problems, without the network", run: "quern doctor --quiet --offline" },
      { does: "As JSON, for another output folder", run: "quern doctor --json --output model" },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES, "TMPDIR"],
    exitCodes: { 0: "nothing is wrong, or warnings only", 1: "there are problems" },
    seeAlso: ["config"],
  });
  command
    .option("-o, --output <folder>", "output folder whose disk space to check", ".")
    .option("--offline", "make no network requests");
  addAnswerOptions(command).action((options: DoctorOptions) => runDoctor(options, host));
}

async function runDoctor({ output, offline = false, json, quiet }: DoctorOptions, host: Host): Promise<void> {
  const findings = [
    ...(await checkMachine()),
    ...(await checkFolders({ output: resolve(host.cwd, output), host })),
    await checkSettings(host),
    ...(await checkHub({ host, offline })),
  ];
  const count = (state: Finding["state"]): number => findings.filter((one) => one.state === state).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  if (json) {
    for (const finding of findings) writeJsonLine(host.stdout, { type: "check", ...finding });
    writeJsonLine(host.stdout, { type: "result", problems, warnings });
  } else {
    const style = styleFor(host.stdout, host.env);
    const shown = quiet ? findings.filter(({ state }) => state !== "ok") : findings;
    host.stdout.write(shown.map((finding) => format(finding, style)).join(""));
  }
  if (problems > 0) {
    const amount = problems === 1 ? "is a problem" : `are ${problems} problems`;
    throw new QuernError("DOCTOR_PROBLEMS", `There ${amount}: see above for what to do.`);
  }
}

function format({ name, state, text, advice }: Finding, style: Style): string {
  const emphasis = { ok: style.green, warning: style.yellow, problem: style.red }[state];
  const line = `${emphasis(state.padEnd(7))}  ${style.bold(name.padEnd(9))}  ${text}\n`;
  return advice === undefined ? line : `${line}${" ".repeat(20)}${style.dim(advice)}\n`;
}
