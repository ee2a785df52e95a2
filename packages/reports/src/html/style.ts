/** Colours of series, told apart by people who confuse red and green, too; the same hues on light and dark ground. */
const SERIES = {
  light: ["#1f6f8b", "#c2571a", "#6a4fa3", "#3f7d3a", "#b23a6b", "#8a6a12", "#3457b1", "#5c6670"],
  dark: ["#59b3cf", "#f0935a", "#a992e0", "#82c17b", "#ec84ae", "#d3b252", "#86a5f5", "#aab4be"],
};

/** From little to much, even steps in OKLab: the farther from the ground, the more. */
const SHADES = {
  light: [
    "#e6efe9",
    "#d2e7da",
    "#bedece",
    "#9acdc2",
    "#71bab7",
    "#52a5b0",
    "#3c8cab",
    "#3375a3",
    "#395d96",
    "#394687",
    "#33316c",
    "#2b1d52",
  ],
  dark: [
    "#22303f",
    "#23384f",
    "#264668",
    "#2a5c79",
    "#2e7589",
    "#3c8f8f",
    "#52a98d",
    "#74c086",
    "#a2d079",
    "#c9df70",
    "#e4e98c",
    "#fff3a6",
  ],
};

const variables = (name: string, colours: readonly string[]): string =>
  colours.map((colour, index) => `--${name}${index}:${colour};`).join("");

const LIGHT = `--ground:#fbfaf7;--card:#ffffff;--ink:#1d2327;--soft:#5d676e;--line:#e2e0d9;--accent:#1f6f8b;--shadow:0 1px 2px rgb(30 40 50/.06);${variables("s", SERIES.light)}${variables("q", SHADES.light)}`;
const DARK = `--ground:#12161b;--card:#191f26;--ink:#e6e9ec;--soft:#9aa5ae;--line:#2c343d;--accent:#59b3cf;--shadow:none;${variables("s", SERIES.dark)}${variables("q", SHADES.dark)}`;

const indices = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** The style of a page. */
export const STYLE: string = `:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
@media print{:root{${LIGHT}}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1050px;margin:0 auto;padding:44px 28px 72px}
h1{font-size:34px;line-height:1.15;letter-spacing:-.02em;font-weight:650;margin:0;overflow-wrap:anywhere;text-wrap:balance}
h2{font-size:21px;letter-spacing:-.01em;font-weight:620;margin:52px 0 4px}
h3{font-size:16px;font-weight:600;margin:26px 0 4px}
p{margin:4px 0 14px;max-width:74ch;color:var(--soft)}
.eyebrow{font-size:12.5px;font-weight:600;letter-spacing:.08em;text-transform:uppercase;color:var(--accent);margin:0 0 8px}
.lead{font-size:17px;margin:8px 0 0}
.tiles{list-style:none;padding:0;margin:28px 0 0;display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:12px}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px;box-shadow:var(--shadow);display:flex;flex-direction:column}
.tile-label{font-size:13px;color:var(--soft)}
.tile-value{font-size:25px;font-weight:620;letter-spacing:-.02em;font-variant-numeric:tabular-nums;line-height:1.3}
.tile-note{font-size:13px;color:var(--soft)}
.plot,.scroll{background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow);overflow-x:auto;margin:12px 0 18px}
.plot{padding:16px 14px 10px}
.plot svg{display:block;max-width:100%;height:auto}
.maps{display:flex;flex-wrap:wrap;gap:12px;margin:12px 0 18px}
.maps .plot{margin:0}
@media (max-width:760px){.plot svg{max-width:none}}
svg text{font-family:inherit;fill:var(--ink)}
svg .tick{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .label{font-size:12.5px;fill:var(--soft)}
svg .key{font-size:12.5px}
svg .strong{font-weight:650}
svg .grid{stroke:var(--line);stroke-width:1}
svg .axis{stroke:var(--soft);stroke-width:1}
svg .mark{stroke:var(--ink);stroke-width:1.25;stroke-dasharray:3 3}
svg .line{fill:none!important;stroke-width:2;stroke-linejoin:round}
svg .dot{stroke:var(--card);stroke-width:1}
svg .bubble{fill-opacity:.55;stroke-width:1.25}
svg .total{stroke:var(--ink)!important;stroke-width:1.5}
svg .empty{fill:none;stroke:var(--line);stroke-dasharray:2 2}
svg rect:hover,svg circle:hover,svg path:hover{filter:brightness(1.12);stroke:var(--ink)}
${indices(SERIES.light.length)
  .map((i) => `svg .s${i}{fill:var(--s${i});stroke:var(--s${i})}`)
  .join("")}
svg rect.bar{stroke:none}
${indices(SHADES.light.length)
  .map((i) => `svg .q${i}{fill:var(--q${i})}`)
  .join("")}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{font-size:12.5px;font-weight:600;color:var(--soft);vertical-align:bottom}
tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:0}
tbody tr:hover{background:color-mix(in srgb,var(--accent) 7%,transparent)}
.number{text-align:right}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.bar-cell{display:inline-flex;align-items:center;gap:10px;justify-content:flex-end}
.bar-track{display:inline-block;width:72px;height:7px;border-radius:4px;background:var(--line);overflow:hidden}
.bar-fill{display:block;height:100%;background:var(--accent);border-radius:4px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:0 28px;margin:12px 0}
.facts div{display:flex;gap:14px;padding:8px 2px;border-bottom:1px solid var(--line)}
.facts dt{flex:0 0 118px;color:var(--soft);font-size:14px}
.facts dd{margin:0;font-size:14px;overflow-wrap:anywhere;min-width:0}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.tag{display:inline-block;font-size:12px;border:1px solid var(--line);border-radius:999px;padding:0 8px;margin-left:6px;color:var(--soft)}
details{margin:12px 0}
summary{cursor:pointer;font-weight:600;color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
footer{margin-top:52px;padding-top:16px;border-top:1px solid var(--line);font-size:13.5px;color:var(--soft)}
@media (max-width:640px){main{padding:28px 16px 48px}h1{font-size:27px}}
`;
