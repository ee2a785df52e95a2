import { QuernError } from "@quern/tensor";
import type { GgufMetadata, GgufValue } from "../value.ts";
import { chatTemplateValues } from "./chat-templates.ts";
import { checkChange } from "./edit-rules.ts";
import { sameValue } from "./same-value.ts";

/** What is to become of metadata. */
export interface GgufEdit {
  /** Values to set or replace. */
  readonly set?: ReadonlyMap<string, GgufValue>;
  /** Chat templates in Jinja by name; the usual one is called "default". */
  readonly chatTemplates?: ReadonlyMap<string, string>;
  /** Keys to remove. */
  readonly remove?: readonly string[];
}

/** What became of one key. */
export interface GgufChange {
  readonly key: string;
  /** Absent when the key is new. */
  readonly before?: GgufValue;
  /** Absent when the key is removed. */
  readonly after?: GgufValue;
}

/**
 * Applies an edit: values that are replaced stay at their place, new ones come at the end.
 *
 * @param params.force Whether changes are made that usually break a model. Default false.
 * @returns a copy of the metadata, and what is different in it
 * @throws QuernError `GGUF_EDIT_KEY_MISSING` for a key to remove that is not there, `GGUF_EDIT_CONFLICT` for one that is set as
 * well; without force `GGUF_EDIT_REFUSED` for another architecture, split keys, another type than a value has, and vocabularies
 * of another length; `GGUF_EDIT_TEMPLATE` for the name of a chat template
 */
export function editGgufMetadata(params: { metadata: GgufMetadata; edit: GgufEdit; force?: boolean }): {
  metadata: GgufMetadata;
  changes: readonly GgufChange[];
} {
  const { metadata, edit, force = false } = params;
  const values = new Map([
    ...(edit.set ?? []),
    ...chatTemplateValues(metadata, edit.chatTemplates ?? new Map<string, string>()),
  ]);
  const edited: GgufMetadata = new Map(metadata);
  const changes: GgufChange[] = [];
  const record = (change: GgufChange): void => {
    if (!force) checkChange(change, metadata);
    changes.push(change);
  };
  for (const key of new Set(edit.remove)) {
    const before = metadata.get(key);
    if (values.has(key)) {
      throw editError("GGUF_EDIT_CONFLICT", key, "it cannot be set and removed");
    }
    if (before === undefined) throw editError("GGUF_EDIT_KEY_MISSING", key, "there is no such key to remove");
    edited.delete(key);
    record({ key, before });
  }
  for (const [key, after] of values) {
    const before = metadata.get(key);
    if (before !== undefined && sameValue(before, after)) continue;
    edited.set(key, after);
    record(before === undefined ? { key, after } : { key, before, after });
  }
  return { metadata: edited, changes };
}

function editError(code: string, key: string, problem: string): QuernError {
  return new QuernError(code, `metadata key "${key}": ${problem}`, { subject: { key } });
}
