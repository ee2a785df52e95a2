import { QuernError } from "@quern/tensor";
import type { GgufMetadata, GgufValue } from "../value.ts";
import { ggufArray, ggufString } from "../values.ts";

// Keys: gguf-py/gguf/constants.py (`Keys.Tokenizer`).
const TEMPLATE = "tokenizer.chat_template";
const NAMES = "tokenizer.chat_templates";

/** Name of the template that a model uses unless another is asked for. */
export const DEFAULT_TEMPLATE = "default";

/**
 * The values that give a model chat templates: one key for each, and the list of the names of all but the default one.
 *
 * @param templates Jinja source by name.
 * @throws QuernError `GGUF_EDIT_TEMPLATE` for names of other characters than ASCII letters, digits and "_", as gguf-py allows
 */
export function chatTemplateValues(
  metadata: GgufMetadata,
  templates: ReadonlyMap<string, string>,
): Map<string, GgufValue> {
  const values = new Map<string, GgufValue>();
  const stated = metadata.get(NAMES);
  const names = new Set(
    stated?.type === "array" && stated.elements === "string" ? [...stated].map(String) : [],
  );
  const known = names.size;
  for (const [name, template] of templates) {
    if (!/^\w+$/.test(name)) {
      throw new QuernError(
        "GGUF_EDIT_TEMPLATE",
        `chat template "${name}": expected a name of letters, digits and "_"`,
        { subject: { key: TEMPLATE } },
      );
    }
    if (name !== DEFAULT_TEMPLATE) names.add(name);
    values.set(name === DEFAULT_TEMPLATE ? TEMPLATE : `${TEMPLATE}.${name}`, ggufString(template));
  }
  if (names.size > known) values.set(NAMES, ggufArray("string", [...names]));
  return values;
}
