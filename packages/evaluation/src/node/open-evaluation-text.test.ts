import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DEFAULT_TEXT } from "@quern/corpus";
import { expect, it } from "vitest";
import { openEvaluationText } from "./open-evaluation-text.ts";

it("has texts of which nothing is in the default calibration text", async () => {
  const calibration = DEFAULT_TEXT.map(({ url }) => readFileSync(fileURLToPath(url), "utf8"))
    .join("\n")
    .replaceAll(/\s+/g, " ");
  const { sources, close } = await openEvaluationText();
  expect(sources.map(({ name }) => name.replace(/.*[\\/]/, ""))).toEqual([
    "prose.txt",
    "reference.txt",
    "code.txt",
  ]);
  for (const source of sources) {
    let text = "";
    for await (const part of source.documents({ whole: true })) text += part.text;
    expect(text.length).toBeGreaterThan(40_000);
    const words = text.split(/\s+/);
    // Runs of words: shorter ones are commonplaces of manuals, such as where a module is not available.
    const runs = Array.from({ length: Math.floor(words.length / 25) }, (_, run) =>
      words.slice(25 * run, 25 * run + 25).join(" "),
    );
    expect(runs.filter((run) => calibration.includes(run))).toEqual([]);
  }
  await close();
});
