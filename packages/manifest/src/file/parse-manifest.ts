import { QuernError } from "@quern/tensor";
import type { z } from "zod";
import type { Manifest } from "../manifest.ts";
import { LARGEST_MANIFEST } from "../names.ts";
import { findPlaceProblem } from "./check-places.ts";
import { MANIFEST } from "./schema.ts";

/**
 * Reads the JSON of a manifest and checks all of it.
 *
 * @param params `file`: Name of the file, for messages.
 * @throws QuernError `MANIFEST_INVALID`, with the key that is wrong and what was expected
 */
export function parseManifest({ text, file }: { text: string; file: string }): Manifest {
  if (text.length > LARGEST_MANIFEST) {
    throw invalid(
      file,
      "",
      `${text.length} characters are no manifest: expected at most ${LARGEST_MANIFEST}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, "", `is no JSON: ${(cause as Error).message}`, cause);
  }
  return checkedManifest(value, file);
}

/** The JSON of a manifest: the same text for the same manifest. @throws QuernError `MANIFEST_INVALID` */
export function manifestText(manifest: Manifest): string {
  const value = { format: "quern-manifest", version: 1, ...manifest };
  const known = checkedManifest(value, "the manifest to write");
  // The schema gives keys their order.
  return `${JSON.stringify({ format: "quern-manifest", version: 1, ...known }, undefined, 1)}\n`;
}

function checkedManifest(value: unknown, file: string): Manifest {
  const result = MANIFEST.safeParse(value);
  if (!result.success) {
    const { path, message } = nearest(result.error.issues[0]!);
    throw invalid(file, keyOf(path), message);
  }
  const { format: _format, version: _version, ...manifest } = result.data as Record<string, unknown>;
  const known = manifest as unknown as Manifest;
  const problem = findPlaceProblem(known);
  if (problem !== undefined) throw invalid(file, problem.key, problem.message);
  return known;
}

function nearest(issue: z.core.$ZodIssue): { path: readonly PropertyKey[]; message: string } {
  const message = issue.message.replace(/^Invalid (input|option): /, "");
  if (issue.code !== "unrecognized_keys") return { path: issue.path, message };
  return { path: [...issue.path, issue.keys[0]!], message: "there is no such key" };
}

function keyOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((key, part) => {
    if (typeof part === "number") return `${key}[${part}]`;
    return key === "" ? String(part) : `${key}.${String(part)}`;
  }, "");
}

function invalid(file: string, key: string, problem: string, cause?: unknown): QuernError {
  const place = key === "" ? "" : `${key}: `;
  return new QuernError("MANIFEST_INVALID", `${file}: ${place}${problem}`, {
    subject: { file, ...(key === "" ? {} : { key }) },
    cause,
  });
}
