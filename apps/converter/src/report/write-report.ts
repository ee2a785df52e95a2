import { type ReportContents, reportJson, reportPage } from "@quern/reports";
import { createOutputSet } from "@quern/tensor/node";
import type { ReportTarget } from "./report-target.ts";

/**
 * Writes the files of a report: both are there in the end, or none.
 *
 * @param params.force Whether files that exist are replaced.
 * @throws QuernError `OUTPUT_*`
 */
export async function writeReport(params: {
  readonly contents: ReportContents;
  readonly target: ReportTarget;
  readonly force: boolean;
}): Promise<void> {
  const { contents, target, force } = params;
  const files = [{ path: target.json, text: reportJson(contents) }];
  if (target.page !== undefined) {
    files.push({ path: target.page, text: reportPage(contents) });
  }
  await writeTexts({ files, force });
}

/** Writes texts under their names once all of them are on disk. @throws QuernError `OUTPUT_*` */
export async function writeTexts(params: {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly force: boolean;
}): Promise<void> {
  const set = await createOutputSet({
    files: params.files.map(({ path, text }) => {
      const header = new TextEncoder().encode(text);
      return { path, size: header.byteLength, header };
    }),
    replace: params.force,
  });
  try {
    await set.finish();
  } catch (error) {
    await set.abandon();
    throw error;
  }
}
