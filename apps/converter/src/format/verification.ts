import type { Manifest } from "@quern/manifest";
import type { FileVerification, Finding, Rederivation } from "@quern/pipeline/verification";
import { version } from "../version.ts";
import { formatBytes } from "./bytes.ts";
import { formatInteger } from "./number.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts } from "./table.ts";

/** Differences that are listed; files that are wrong altogether have thousands. */
const MOST_FINDINGS = 50;

/** What verifying has found, for people. */
export function formatVerification(params: {
  readonly manifest: Manifest;
  readonly files: FileVerification;
  readonly source?: Rederivation;
  readonly style: Style;
}): string {
  const { manifest, files, source, style } = params;
  const findings = [...files.findings, ...(source?.findings ?? [])];
  const facts: [string, string][] = [
    ["source", printable(manifest.source.name)],
    ["made by", printable(madeBy(manifest))],
    ...(manifest.kernels === undefined ? [] : [["kernels", printable(manifest.kernels)] as [string, string]]),
    ["files", `${formatInteger(files.files)}, ${formatBytes(files.bytes)}: ${verdict(files.findings)}`],
    ["tensors", formatInteger(files.tensors)],
    ...(source === undefined ? [] : sourceFacts(source)),
  ];
  const listed = findings.slice(0, MOST_FINDINGS).map((finding) => `${printable(findingText(finding))}\n`);
  if (findings.length > listed.length) {
    listed.push(`and ${formatInteger(findings.length - listed.length)} more\n`);
  }
  return `${formatFacts({ facts, style })}${listed.join("")}`;
}

/** Another version may make other bytes of the same source. */
function madeBy({ tool: { name, version: made } }: Manifest): string {
  return made === version ? `${name} ${made}` : `${name} ${made} (this is ${version})`;
}

function sourceFacts({ findings, headers, tensors, bytes, others }: Rederivation): [string, string][] {
  const compared = headers !== true && tensors.length === 0 ? "nothing was compared" : verdict(findings);
  return [
    ["made again", `${formatInteger(tensors.length)} tensors, ${formatBytes(bytes)}: ${compared}`],
    ...(headers === true ? [] : [["headers", printable(`not made again ${headers}`)] as [string, string]]),
    ...(others === undefined
      ? []
      : [
          [
            "others",
            printable(`${formatInteger(others.tensors)} tensors cannot be made again: ${others.reason}`),
          ] as [string, string],
        ]),
  ];
}

function verdict({ length }: readonly Finding[]): string {
  if (length === 0) return "all as it should be";
  return length === 1 ? "1 difference" : `${formatInteger(length)} differences`;
}

function findingText({ kind, file, tensor, offset, message }: Finding): string {
  const what =
    tensor === undefined ? (kind === "header" || kind === "padding" ? `, ${kind}` : "") : `, ${tensor}`;
  return `${file}${what}${offset === undefined ? "" : ` at ${offset}`}: ${message}`;
}
