import { expect, it } from "vitest";
import { createStyle } from "./style.ts";
import { formatFacts, formatTable } from "./table.ts";

it("aligns columns and leaves no trailing spaces", () => {
  const text = formatTable({
    columns: [{ title: "Tensor" }, { title: "Size", align: "right" }, { title: "Type" }],
    rows: [
      ["token_embd.weight", "1 B", "Q6_K"],
      ["output", "1,024 B", ""],
    ],
    style: createStyle(false),
    indent: 2,
  });
  expect(text).toBe(
    [
      "  Tensor                Size  Type",
      "  token_embd.weight      1 B  Q6_K",
      "  output             1,024 B",
      "",
    ].join("\n"),
  );
});

it("dims titles and labels only when styles are on", () => {
  const dimmed = formatFacts({ facts: [["size", "1 MB"]], style: createStyle(true) });
  expect(dimmed).toBe("\u001b[2msize\u001b[22m  1 MB\n");
  expect(formatFacts({ facts: [["size", "1 MB"]], style: createStyle(false) })).toBe("size  1 MB\n");
});
