import { basename } from "node:path";
import type { ItemEvaluation, ItemState, PublicationPlan, PublicationReport } from "@quern/publishing";
import { formatBytes } from "./bytes.ts";
import { formatDuration } from "./duration.ts";
import { printable } from "./printable.ts";
import type { Style } from "./style.ts";
import { formatFacts, formatTable } from "./table.ts";

const STATES: Readonly<Record<ItemState, string>> = {
  published: "published already",
  made: "to upload",
  planned: "to make and upload",
};

/** What is going to be made and uploaded. */
export function formatPublicationPlan(params: {
  readonly plan: PublicationPlan;
  readonly style: Style;
}): string {
  const { plan, style } = params;
  const { target, items, groups, directory, deletesLocal, evaluation } = plan;
  const table = formatTable({
    columns: [{ title: "Type" }, { title: "Size", align: "right" }, { title: "State" }, { title: "File" }],
    rows: items.map(({ item, state }) => [
      item.name,
      formatBytes(item.bytes),
      STATES[state],
      printable(namesOf(item.targets)),
    ]),
    style,
    indent: 2,
  });
  const created = target.isPrivate ? "will be created, private" : "will be created";
  const place = target.exists ? "is there" : created;
  const evaluated = evaluation?.estimate.networkBytes ?? 0;
  const networkBytes = groups.reduce((sum, group) => sum + group.networkBytes, evaluated);
  const facts = formatFacts({
    facts: [
      ["repository", `${target.id} (${place})${target.opensPullRequest ? ", as a pull request" : ""}`],
      ["folder", `${printable(directory)}${deletesLocal ? ", files go once they are published" : ""}`],
      ...(groups.length === 0
        ? []
        : [
            [
              "passes",
              groups.map(({ items: made }) => made.map(({ name }) => name).join(" + ")).join(", then "),
            ] as const,
          ]),
      ...(evaluation === undefined ? [] : [["evaluation", evaluationText(evaluation.estimate)] as const]),
      ...(networkBytes === 0
        ? []
        : [["network", `${formatBytes(networkBytes)} of weights to read`] as const]),
      ["memory", `about ${formatBytes(plan.peakMemory)}`],
    ],
    style,
    indent: 2,
  });
  return `${table}\n${facts}`;
}

/** What was published. */
export function formatPublicationReport(params: {
  readonly report: PublicationReport;
  /** Highest resident memory of the process, in bytes. */
  readonly peakMemory: number;
  readonly style: Style;
}): string {
  const { report, peakMemory, style } = params;
  const files = report.items.flatMap(({ item, files: all }) =>
    all.map(({ path, bytes, sha256 }) => [item, formatBytes(bytes), printable(path), sha256]),
  );
  const table = formatTable({
    columns: [{ title: "Type" }, { title: "Size", align: "right" }, { title: "File" }, { title: "SHA-256" }],
    rows: files,
    style,
  });
  const facts = formatFacts({
    facts: [
      ["repository", printable(report.url)],
      ...(report.pullRequest === undefined ? [] : [["pull request", printable(report.pullRequest)] as const]),
      ...(report.duplicates ?? []).map(
        (url) => ["to be closed", `${printable(url)}, which the Hub has opened besides`] as const,
      ),
      ["commit", report.commit],
      ["time", formatDuration(report.seconds * 1000)],
      ["memory", `${formatBytes(peakMemory)} at most`],
    ],
    style,
  });
  return `${table}\n${facts}`;
}

function evaluationText({ windows, context, seconds, scratchBytes }: ItemEvaluation["estimate"]): string {
  const time = formatDuration(seconds * 1000);
  const scratch = scratchBytes === 0 ? "" : `, ${formatBytes(scratchBytes)} of disk space for a while`;
  return `on ${windows} windows of ${context} tokens: about ${time}${scratch}`;
}

function namesOf([first = "", ...others]: readonly string[]): string {
  return others.length === 0 ? basename(first) : `${basename(first)} and ${others.length} more`;
}
