import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { modelNameParts, titleOf } from "./model-name.ts";

interface ExpectedParts {
  readonly id: string;
  /** The parts are the same for each of these. */
  readonly total_params: readonly number[];
  readonly full_name: string;
  readonly organization: string | null;
  readonly basename: string | null;
  readonly finetune: string | null;
  readonly version: string | null;
  readonly size_label: string | null;
}

const golden = new URL("../../../../fixtures/golden/", import.meta.url);
const names = JSON.parse(readFileSync(new URL("metadata-names.json", golden), "utf8")) as ExpectedParts[];
const labels = JSON.parse(readFileSync(new URL("metadata-labels.json", golden), "utf8")) as {
  id_to_title: Record<string, string>;
};

describe("parts of a model name", () => {
  it.each(names)("$id with $total_params parameters", (expected) => {
    for (const total of expected.total_params) {
      const parts = modelNameParts(expected.id, total);
      expect({
        full_name: parts.fullName,
        organization: parts.organization ?? null,
        basename: parts.baseName ?? null,
        finetune: parts.finetune ?? null,
        version: parts.version ?? null,
        size_label: parts.sizeLabel ?? null,
      }).toEqual({
        full_name: expected.full_name,
        organization: expected.organization,
        basename: expected.basename,
        finetune: expected.finetune,
        version: expected.version,
        size_label: expected.size_label,
      });
    }
  });
});

describe("title of a model name", () => {
  it.each(Object.entries(labels.id_to_title))("%s -> %s", (id, title) => {
    expect(titleOf(id.split("/").at(-1) as string)).toBe(title);
  });
});
