import { describe, expect, it } from "vitest";
import { ReportFormatError } from "./check.ts";
import { readReport } from "./read-report.ts";
import { reportJson } from "./report.ts";
import { conversionOf, evaluationOf } from "./testing/records.ts";

const contents = { conversion: conversionOf({}), evaluation: evaluationOf() };
const parsed = (): Record<string, never> => JSON.parse(reportJson(contents)) as Record<string, never>;

/** The JSON with a value changed, by the names and numbers that lead there. */
function changed(path: readonly (string | number)[], value: unknown): unknown {
  const root: unknown = parsed();
  let place = root as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) place = place[step] as Record<string | number, unknown>;
  place[path.at(-1)!] = value;
  return root;
}

describe("readReport", () => {
  it("reads what reportJson writes", () => {
    expect(readReport(parsed())).toEqual(contents);
    expect(readReport(JSON.parse(reportJson({})))).toEqual({});
  });

  it("reads an evaluation by itself", () => {
    const evaluation = { format: "quern-evaluation", version: 1, ...contents.evaluation };
    expect(readReport(evaluation)).toEqual({ evaluation: contents.evaluation });
  });

  it("leaves out what it does not know", () => {
    const more = changed(["conversion", "outputs", 0, "tensors", 0, "errors", "later"], { any: 1 });
    expect(readReport(more)).toEqual(contents);
    expect(
      readReport(JSON.parse('{"format":"quern-report","version":1,"__proto__":{"conversion":1}}')),
    ).toEqual({});
  });

  it.each([
    [[], "the file: expected an object"],
    ["text", "the file: expected an object"],
    [{}, 'format: expected "quern-report" or "quern-evaluation"'],
    [{ format: 1 }, "format: expected a string"],
    [{ format: "other", version: 1 }, 'format: expected "quern-report" or "quern-evaluation"'],
    [{ format: "quern-report", version: 2 }, "version: expected 1, the only one so far"],
    [changed(["conversion", "model"], 5), "conversion.model: expected a string"],
    [changed(["conversion", "outputs", 1, "bytes"], "<b>"), "conversion.outputs[1].bytes: expected a number"],
    [
      changed(["conversion", "outputs", 0, "tensors", 2, "shape"], [1, -2]),
      "conversion.outputs[0].tensors[2].shape[1]: expected a number of at least 0",
    ],
    [
      changed(["conversion", "outputs", 0, "tensors", 2, "requantized"], 1),
      "conversion.outputs[0].tensors[2].requantized: expected true or false",
    ],
    [changed(["conversion", "parameters"], JSON.parse("1e999")), "conversion.parameters: expected a number"],
    [changed(["evaluation", "domains"], {}), "evaluation.domains: expected a list"],
    [
      changed(["evaluation", "total", "perplexity", "interval"], [1]),
      "evaluation.total.perplexity.interval: expected two numbers",
    ],
    [
      changed(["evaluation", "total", "comparison", "divergence", "histogram", "counts"], [1]),
      "evaluation.total.comparison.divergence.histogram.edges: expected one more than counts",
    ],
    [
      changed(["evaluation", "total", "comparison", "divergence", "histogram", "edges", 0], 0),
      "evaluation.total.comparison.divergence.histogram.edges: expected rising numbers above 0",
    ],
  ])("says what is wrong: %#", (value, message) => {
    expect(() => readReport(value)).toThrow(expect.objectContaining({ code: "REPORT_FORMAT", message }));
    expect(() => readReport(value)).toThrow(ReportFormatError);
  });
});
