import { isJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";

/** What is known of the special tokens while the files are read. */
export interface SpecialTokenState {
  /** `bos_token`, `add_bos_token`, ...: tokenizer_config.json, with what the post-processor adds and moves. */
  readonly entries: Record<string, unknown>;
  /** False when tokenizer_config.json is missing or empty: then the post-processor only says which tokens are put around a text. */
  readonly hasConfig: boolean;
  /** Roles that are looked up, in order. */
  readonly roles: string[];
  /** Role -> whether that token is put around every text. */
  readonly added: Map<string, boolean>;
}

/** The entries that templates are compared with: text, object or nothing, as the files have them. */
interface Anchors {
  bos: unknown;
  cls: unknown;
  eos: unknown;
  sep: unknown;
}

/**
 * Learns from the post-processor of tokenizer.json which special tokens are put around a text, and whether a token has another role
 * than tokenizer_config.json says (gguf-py vocab.py, `SpecialVocab`).
 *
 * Templates are read as roughly as the reference does it: the first and the last token of `single`, and the tokens between the two
 * sequences of `pair`. An end-of-sequence token that differs from the configured one takes its place; the configured one becomes
 * the end of turn ("eot"), or of message ("eom").
 */
export function applyPostProcessor(postProcessor: JsonObject | undefined, state: SpecialTokenState): void {
  const { entries } = state;
  const anchors: Anchors = {
    bos: entries["bos_token"] || entries["cls_token"],
    cls: entries["cls_token"],
    eos: entries["eos_token"] || entries["sep_token"],
    sep: entries["sep_token"],
  };
  entries["bos_token"] = anchors.bos;
  entries["eos_token"] = anchors.eos;
  if (postProcessor === undefined) return;
  const { processors } = postProcessor;
  for (const processor of Array.isArray(processors) ? processors.filter(isJsonObject) : [postProcessor]) {
    if (processor["type"] === "RobertaProcessing") applyRoberta(processor, { state, anchors });
    if (processor["type"] === "TemplateProcessing") applyTemplate(processor, { state, anchors });
  }
}

interface Context {
  readonly state: SpecialTokenState;
  readonly anchors: Anchors;
}

function applyRoberta(processor: JsonObject, { state, anchors }: Context): void {
  for (const role of ["bos", "eos", "sep"]) state.added.set(role, true);
  if (!anchors.cls) state.entries["cls_token"] = anchors.cls = firstOf(processor["cls"]) ?? anchors.bos;
  if (!anchors.sep) state.entries["sep_token"] = anchors.sep = firstOf(processor["sep"]) ?? anchors.eos;
}

function applyTemplate(processor: JsonObject, context: Context): void {
  const single = itemsOf(processor["single"]);
  const first = single.length > 1 ? specialTokenOf(single[0]) : undefined;
  const last = single.length > 1 ? specialTokenOf(single.at(-1)) : undefined;
  if (first !== undefined) applyFirst(first, context);
  if (last !== undefined) applyLast(last, context);
  applyPair(itemsOf(processor["pair"]), { first, last, context });
}

function applyFirst(first: string, { state, anchors }: Context): void {
  if (!state.hasConfig) anchors.bos = first;
  else if (first !== anchors.bos && first !== anchors.cls) {
    if (!anchors.bos) state.entries["bos_token"] = anchors.bos = first;
    if (!anchors.cls) state.entries["cls_token"] = anchors.cls = first;
  }
  state.added.set("bos", first === anchors.bos || first === anchors.cls);
}

function applyLast(last: string, { state, anchors }: Context): void {
  if (state.hasConfig && last !== anchors.eos) {
    const role = ["eot", "eom"].find((candidate) => !state.roles.includes(candidate));
    if (role !== undefined) {
      state.roles.push(role);
      state.entries[`${role}_token`] = anchors.eos;
    }
    state.entries["eos_token"] = last;
  }
  anchors.eos = last;
  state.added.set("eos", true);
}

function applyPair(
  pair: readonly unknown[],
  params: { first: string | undefined; last: string | undefined; context: Context },
): void {
  const { first, last, context } = params;
  const { state, anchors } = context;
  const start = first !== undefined && specialTokenOf(pair[0]) === first ? 1 : 0;
  const stop = last !== undefined && specialTokenOf(pair.at(-1)) === last ? -1 : undefined;
  const sequences = pair.slice(start, stop);
  if (sequenceOf(sequences[0]) !== "A" || sequenceOf(sequences.at(-1)) !== "B") return;
  const between = sequences.slice(1, -1).map(specialTokenOf);
  if (between.length === 0) return;
  const separates = (token: string | undefined): boolean =>
    token !== undefined && (token === anchors.sep || token === anchors.eos);
  // "A </s> B" separates only if no end-of-sequence token follows; "A </s> </s> B" always does.
  const separated =
    (separates(between[0]) && last === undefined) || (between.length === 2 && separates(between[1]));
  state.added.set("sep", separated);
  if (separated && !anchors.sep) state.entries["sep_token"] = anchors.eos;
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined;
}

function specialTokenOf(item: unknown): string | undefined {
  const id = idOf(item, "SpecialToken");
  return typeof id === "string" && id !== "" ? id : undefined;
}

function sequenceOf(item: unknown): unknown {
  return idOf(item, "Sequence");
}

function idOf(item: unknown, kind: string): unknown {
  const entry = isJsonObject(item) ? item[kind] : undefined;
  return isJsonObject(entry) ? entry["id"] : undefined;
}
