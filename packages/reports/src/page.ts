import { formatBytes, formatCount } from "./format.ts";
import { html, Html } from "./html/html.ts";
import { STYLE } from "./html/style.ts";
import type { ReportContents } from "./report.ts";
import { evaluationSection } from "./sections/evaluation.ts";
import { layersSection } from "./sections/layers.ts";
import { outputsSection } from "./sections/outputs.ts";
import { provenanceSection } from "./sections/provenance.ts";
import { tensorsSection } from "./sections/tensors.ts";

/**
 * A page that shows what quantization did: one HTML file without scripts and without anything from elsewhere, for light and dark
 * screens and for paper. Everything that comes from files is escaped. The same contents give the same page.
 */
export function reportPage(contents: ReportContents): string {
  const { conversion, evaluation } = contents;
  const name = conversion?.model ?? evaluation?.model.name ?? "Nothing";
  const { markup } = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        />
        <meta name="color-scheme" content="light dark" />
        <title>${name}: what quantization cost</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <p class="eyebrow">Quantization report</p>
            <h1>${name}</h1>
            <p class="lead">${leadOf(contents)}</p>
          </header>
          ${conversion !== undefined && [outputsSection(conversion), layersSection(conversion)]}
          ${evaluation !== undefined && evaluationSection(evaluation)}
          ${conversion !== undefined && tensorsSection(conversion)} ${provenanceSection(contents)}
          <footer>Made by Quern. The figures are in the JSON file of the same name, too.</footer>
        </main>
      </body>
    </html> `;
  return markup;
}

function leadOf({ conversion, evaluation }: ReportContents): string {
  if (conversion !== undefined) {
    const { architecture, parameters, sourceBytes, sourceTypes, outputs } = conversion;
    return `${architecture}, ${formatCount(parameters)} weights, ${formatBytes(sourceBytes)} of ${sourceTypes.join(", ")} to ${outputs.map(({ type }) => type).join(", ")}`;
  }
  if (evaluation === undefined) return "";
  const { architecture, parameters, bytes } = evaluation.model;
  return `${architecture}, ${formatCount(parameters)} weights, ${formatBytes(bytes)}`;
}
