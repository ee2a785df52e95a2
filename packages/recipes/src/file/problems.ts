import { type Document, isMap, isNode, isScalar, type LineCounter } from "yaml";
import type { z } from "zod";

/** What is wrong with a file, and where. */
export interface Problem {
  /** As "rules[0].parameters.bits"; empty for all of the file. */
  readonly key: string;
  readonly line: number;
  readonly message: string;
}

type Path = readonly PropertyKey[];

/** The problems that issues of a schema are, in the order of the file. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  document: Document,
  lines: LineCounter,
): Problem[] {
  const found = issues.flatMap((issue) => describe(issue, []));
  return found
    .map(({ path, message }) => ({ key: keyOf(path), line: lineOf(document, lines, path), message }))
    .sort((a, b) => a.line - b.line);
}

function describe(issue: z.core.$ZodIssue, parent: Path): { path: Path; message: string }[] {
  const path = [...parent, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], message: "there is no such key" }));
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // The form that the text comes nearest to: what is wrong with it lies deepest.
    const nearest = [...issue.errors].sort((a, b) => depthOf(b) - depthOf(a))[0]!;
    if (depthOf(nearest) > 0) return nearest.flatMap((inner) => describe(inner, path));
    const expected = issue.errors.flat().map(({ message }) => message.replace(/^[^:]*: /, ""));
    return [{ path, message: [...new Set(expected)].join(", or ") }];
  }
  return [{ path, message: issue.message.replace(/^Invalid (input|option): /, "") }];
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(
    0,
    ...issues.map((issue) => issue.path.length + (issue.code === "unrecognized_keys" ? 1 : 0)),
  );
}

function keyOf(path: Path): string {
  return path.reduce<string>((key, part) => {
    if (typeof part === "number") return `${key}[${part}]`;
    return key === "" ? String(part) : `${key}.${String(part)}`;
  }, "");
}

/** The line of a key, or of the nearest that there is around it. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && key.value === last)
      : undefined;
    const node = pair?.key ?? document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
