import type { Argument, Option } from "commander";

/** What a shell can offer for a value. */
export interface Suggestions {
  readonly values?: readonly string[];
  /** Several values go into one word, separated by commas. */
  readonly list?: boolean;
  readonly files?: boolean;
}

const declared = new WeakMap<Option | Argument, Suggestions>();

/** Says what the value of an option or an argument can be, where neither `choices` nor its name does. */
export function suggest<Target extends Option | Argument>(target: Target, suggestions: Suggestions): Target {
  declared.set(target, suggestions);
  return target;
}

/**
 * What a shell offers for an option or an argument: what was declared, its choices, and files where its placeholder speaks of such
 * (`<file>`, `<path>`, `<model>`).
 */
export function suggestionsFor(target: Option | Argument, placeholder: string): Suggestions {
  return (
    declared.get(target) ?? {
      ...(target.argChoices === undefined ? {} : { values: target.argChoices }),
      files: /\b(file|files|path|folder|model|reference|output|prefix|arguments)\b/.test(placeholder),
    }
  );
}
