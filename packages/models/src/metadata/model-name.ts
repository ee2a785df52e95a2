/** The parts of a model's name, as far as they can be told. */
export interface ModelNameParts {
  /** Without the organization. */
  readonly fullName: string;
  readonly organization: string | undefined;
  readonly baseName: string | undefined;
  readonly finetune: string | undefined;
  readonly version: string | undefined;
  readonly sizeLabel: string | undefined;
}

type PartType = "basename" | "size" | "finetune" | "version" | "encoding";

interface NamePart {
  text: string;
  readonly types: Set<PartType>;
}

const VERSION = /^(v|iter)?\d+([.]\d+)*$/i;
const ENCODING = /^(i?q\d(_[\p{L}\p{N}_])*|b?fp?(16|32))$/iu;
const SIZE = /^(([A]|\d+[x])?\d+([._]\d+)?[KMBT]\d?|small|mini|medium|large|x?xl)$/i;
const FINETUNE = /^(chat|instruct|vision|lora)$/i;

/**
 * Takes a Hugging Face model id ("org/Model-7B-Instruct-v0.2") apart (gguf-py metadata.py `get_model_id_components`).
 *
 * @param totalParameters Tells a size ("8B") from a context length ("128k"): a label far from it is no size. 0 when unknown.
 */
export function modelNameParts(id: string, totalParameters: number): ModelNameParts {
  const nothing = {
    organization: undefined,
    baseName: undefined,
    finetune: undefined,
    version: undefined,
    sizeLabel: undefined,
  };
  // A name with spaces is a sentence, not an id.
  if (id.includes(" ")) return { ...nothing, fullName: id };

  const slash = id.indexOf("/");
  const owner = slash < 0 ? undefined : id.slice(0, slash);
  const fullName = id.slice(slash + 1);
  const organization = owner?.startsWith(".") ? undefined : owner;

  const parts = fullName
    .split("-")
    .filter((text) => text !== "")
    .map((text, index) => classify(text, { isFirst: index === 0, totalParameters }));
  dropSizesInWords(parts);
  markBaseName(parts);

  const sizeLabel = joined([...new Set(textsOf(parts, "size"))]);
  const finetune = joined(textsOf(parts, "finetune"));
  const version = joined(
    parts.filter(({ types }) => types.has("version") && !types.has("basename")).map(({ text }) => text),
  );
  const isAmbiguous = sizeLabel === undefined && finetune === undefined && version === undefined;
  const baseName = isAmbiguous ? undefined : joined(textsOf(parts, "basename"));
  return { fullName, organization, baseName, finetune, version, sizeLabel };
}

/** A title of an id: words in lower case are capitalized, versions and sizes stay (gguf-py metadata.py `id_to_title`). */
export function titleOf(id: string): string {
  const words = id
    .replaceAll("-", " ")
    .split(/\s+/u)
    .filter((word) => word !== "");
  return words
    .map((word) => (isLowerCase(word) && !/^(v\d+(\.\d+)*|\d.*)$/u.test(word) ? capitalized(word) : word))
    .join(" ");
}

function classify(text: string, params: { isFirst: boolean; totalParameters: number }): NamePart {
  if (VERSION.test(text)) return { text, types: new Set(["version"]) };
  if (ENCODING.test(text)) return { text: text.toUpperCase(), types: new Set(["encoding"]) };
  if (params.isFirst) return { text, types: new Set() };
  if (SIZE.test(text)) return classifySize(text, params.totalParameters);
  return { text, types: new Set(FINETUNE.test(text) ? ["finetune"] : []) };
}

function classifySize(text: string, totalParameters: number): NamePart {
  let label = text.replace("_", ".");
  // "7b1" (bloom) is 7.1B.
  if (/\d$/.test(label)) label = `${label.slice(0, -2)}.${label.at(-1)}${label.at(-2)}`;
  if (/\d[kmbt]$/.test(label)) label = label.slice(0, -1) + label.slice(-1).toUpperCase();
  const amount = /^\d+(\.\d+)?$/.test(label.slice(0, -1)) ? Number(label.slice(0, -1)) : Number.NaN;
  const parameters = amount * 1000 ** " KMBT".indexOf(label.slice(-1));
  const isFar =
    totalParameters > 0 && Math.abs(parameters - totalParameters) > Math.floor((7 * totalParameters) / 8);
  if (!isFar) return { text: label, types: new Set(["size"]) };
  return { text: label.slice(0, -1) + label.slice(-1).toLowerCase(), types: new Set(["finetune"]) };
}

/** "small", "XL", ... do not count beside a size in numbers. */
function dropSizesInWords(parts: readonly NamePart[]): void {
  const sizes = parts.filter(({ types }) => types.has("size"));
  if (!sizes.some(({ text }) => /\d/.test(text))) return;
  for (const { text, types } of sizes) {
    if (/^\p{L}+$/u.test(text)) types.delete("size");
  }
}

/** The base name is the run of words and versions at the start, without the versions at its end. */
function markBaseName(parts: readonly NamePart[]): void {
  let isAtStart = true;
  for (const { text, types } of parts) {
    isAtStart &&= (types.size === 0 && /^\p{L}/u.test(text)) || types.has("version");
    if (isAtStart) types.add("basename");
    else if (types.size === 0) types.add("finetune");
  }
  for (const { types } of [...parts].reverse()) {
    if (!types.has("basename") || types.size === 1) break;
    types.delete("basename");
  }
}

function textsOf(parts: readonly NamePart[], type: PartType): string[] {
  return parts.filter(({ types }) => types.has(type)).map(({ text }) => text);
}

function joined(texts: readonly string[]): string | undefined {
  return texts.length > 0 ? texts.join("-") : undefined;
}

function isLowerCase(word: string): boolean {
  return word === word.toLowerCase() && word !== word.toUpperCase();
}

/** Every letter after something else than a letter becomes a capital: "c4ai" is "C4Ai". */
function capitalized(word: string): string {
  return word.replaceAll(/(?<!\p{L})\p{L}/gu, (letter) => letter.toUpperCase());
}
