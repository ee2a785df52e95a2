import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reportPage } from "./page.ts";
import { reportJson, type Report } from "./report.ts";
import { conversionOf, evaluationOf } from "./testing/records.ts";

const full = { conversion: conversionOf({}), evaluation: evaluationOf() };

/** Text of a page, without tags. */
const textOf = (page: string): string => page.replace(/<style>[^]*<\/style>/, "").replace(/<[^>]*>/g, " ");

describe("a page", () => {
  const page = reportPage(full);

  it("is the same for the same contents", () => {
    expect(reportPage(structuredClone(full)) === page).toBe(true);
  });

  it("needs nothing from elsewhere, and runs nothing", () => {
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed|base|form)\b/i);
    expect(page).not.toMatch(/\b(src|href|srcset|action|on\w+)=/i);
    expect(page).not.toMatch(/https?:|url\(|@import/i);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'`);
  });

  it("has tags that close each other, and titles for all pictures", () => {
    const open: string[] = [];
    const closed: unknown[][] = [];
    for (const [, slash, name, rest] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/gi)) {
      if (slash === "" && !rest!.endsWith("/") && name !== "meta") open.push(name!);
      else if (slash === "/") closed.push([open.pop(), name]);
    }
    expect(open).toEqual([]);
    expect(closed.filter(([opened, name]) => opened !== name)).toEqual([]);
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, labels] of page.matchAll(/<svg[^>]* aria-labelledby="([^"]+)"/g)) {
      for (const label of labels!.split(" ")) expect(ids).toContain(label);
    }
    expect(page.match(/<svg/g)!.length).toBe(7);
  });

  it("has no number that is none", () => {
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/);
  });

  it("shows the figures of the JSON", () => {
    const { conversion, evaluation } = JSON.parse(reportJson(full)) as Required<Report>;
    const text = textOf(page);
    const percent = (share: number): string => `${(share * 100).toPrecision(3)} %`;
    for (const output of conversion.outputs) {
      for (const { name, errors } of output.tensors) {
        if (errors === undefined) continue;
        const { squaredErrors, squaredWeights } = errors;
        const error = percent(Math.sqrt(squaredErrors / squaredWeights));
        const snr = `${(10 * Math.log10(squaredWeights / squaredErrors)).toFixed(1)} dB`;
        const row = page
          .split("<tr>")
          .filter((line) => line.includes(`<code>${name}</code>`) && line.includes(`>${output.type}<`));
        expect(row.length).toBeGreaterThan(0);
        for (const line of row) {
          expect(textOf(line)).toContain(error);
          expect(textOf(line)).toContain(snr);
          expect(textOf(line)).toContain(percent(Math.sqrt(errors.output!.relativeSquaredError)));
        }
      }
      expect(text).toContain(percent(output.errors!.relativeError));
      expect(text).toContain(output.bitsPerWeight.toFixed(2));
    }
    for (const { name, comparison } of evaluation.domains) {
      const row = textOf(page.split("<tr>").find((line) => line.includes(`>${name}<`))!);
      expect(row).toContain(Number(comparison!.divergence.median.toPrecision(3)).toString());
    }
  });

  it.each([
    ["a conversion alone", { conversion: full.conversion }],
    ["an evaluation alone", { evaluation: full.evaluation }],
    ["one output", { conversion: conversionOf({ types: ["Q4_K_M"] }) }],
    ["many layers", { conversion: conversionOf({ layers: 130, weighted: false }) }],
    ["no layers", { conversion: conversionOf({ layers: 0 }) }],
    ["nothing", {}],
  ])("can show %s", (_, contents) => {
    const page = reportPage(contents);
    expect(page).toContain("</html>");
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/);
  });

  it("shows a conversion in which nothing was rounded", () => {
    const { outputs, ...rest } = conversionOf({});
    const exact = outputs.map(({ errors: _errors, tensors, ...output }) => ({
      ...output,
      tensors: tensors.map(({ errors: _own, ...tensor }) => tensor),
    }));
    const page = reportPage({ conversion: { ...rest, outputs: exact } });
    expect(textOf(page)).toContain("exact");
    expect(page).not.toContain("<svg");
  });

  it("shows sums of zeros, and errors of one size", () => {
    const { outputs, ...rest } = conversionOf({ types: ["Q8_0"], layers: 2 });
    const same = (relativeError: number) =>
      outputs.map((output) => ({
        ...output,
        tensors: output.tensors.map(({ errors, ...tensor }) =>
          errors === undefined
            ? tensor
            : {
                ...tensor,
                errors: {
                  ...errors,
                  squaredErrors: relativeError ** 2 * errors.squaredWeights,
                  relativeError,
                },
              },
        ),
      }));
    for (const error of [0, 0.07]) {
      expect(reportPage({ conversion: { ...rest, outputs: same(error) } })).not.toMatch(
        /NaN|Infinity|undefined/,
      );
    }
  });
});

it("ends for figures that no conversion has", () => {
  const extremes = [5e-324, 1e-200, 1, 1e99, 1e100];
  const { outputs, ...rest } = conversionOf({ types: ["A", "B"] });
  const odd = outputs.map((output) => ({
    ...output,
    bitsPerWeight: 1e100,
    tensors: output.tensors.map((tensor, i) => ({
      ...tensor,
      ...(tensor.layer === undefined ? {} : { layer: 10 ** (50 * (i % 3)) }),
      ...(tensor.errors === undefined
        ? {}
        : { errors: { ...tensor.errors, relativeError: extremes[i % 5]!, squaredErrors: extremes[i % 5]! } }),
    })),
  }));
  expect(reportPage({ conversion: { ...rest, outputs: odd } })).toContain("</html>");
});

describe("text from files", () => {
  const attack = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\`</title></style>`;

  it("is escaped wherever it is", () => {
    const text = (name: string): string => attack + name;
    const page = reportPage({ conversion: conversionOf({ text }), evaluation: evaluationOf(text) });
    const plain = reportPage(full);
    const tags = (markup: string): string[] => [...new Set(markup.match(/<\/?[a-z][a-z0-9]*/gi))].sort();
    expect(tags(page)).toEqual(tags(plain));
    expect(page).not.toContain("<script");
    expect(page).not.toContain("<img");
    expect(page.match(/<\/title>/g)!.length).toBe(page.match(/<title/g)!.length);
    expect(page).toContain("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
  });

  it("adds no tag and no attribute, whatever it is", () => {
    const shape = (markup: string): string =>
      markup
        .replace(/<style>[^]*<\/style>/, "")
        .replace(/"[^"]*"/g, '""')
        .replace(/>[^<]*</g, "><");
    const expected = shape(reportPage({ evaluation: evaluationOf(() => "text") }));
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 20 }), (value) => {
        const page = reportPage({ evaluation: evaluationOf(() => value) });
        expect(shape(page) === expected).toBe(true);
        expect(new TextDecoder().decode(new TextEncoder().encode(page)) === page).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("shows marks that would turn the direction of the text", () => {
    const page = reportPage({ evaluation: evaluationOf(() => "a\u202eb\u0000c\u0007") });
    expect(page).toContain("a\ufffdb\ufffdc\ufffd");
    expect(page).not.toContain("\u202e");
  });
});
