import { QuernError } from "@quern/tensor";
import { listNames } from "../name-list.ts";
import type { TensorTypeRule } from "../recipe.ts";
import type { Mixture } from "./mixture.ts";
import { isQuantizable } from "./quantizable.ts";
import { isBlockType } from "./select-types.ts";
import { tensorCategory } from "./tensor-category.ts";
import { compileTypeOverrides, type TypeOverrides } from "./type-overrides.ts";

/** Most tensors that a message names. */
const MOST_NAMED = 3;

/**
 * What to tell about rules by pattern that change nothing, which is rarely what was meant: `MIXTURE_PATTERN_UNMATCHED` where no
 * tensor has such a name, `MIXTURE_PATTERN_INEFFECTIVE` where all that do are not quantized, or have their type from elsewhere.
 *
 * @param params.tensors All tensors of the output.
 */
export function typeRuleWarnings(
  params: TypeOverrides & {
    readonly mixture: Mixture;
    readonly tensors: readonly { readonly name: string; readonly ne: readonly number[] }[];
  },
): QuernError[] {
  const { mixture, tensors, tensorTypes: rules = [], leaveOutputTensor } = params;
  if (rules.length === 0) return [];
  if (!isBlockType(mixture.type)) {
    return [
      ineffective(rules[0]!, `types by pattern mean nothing for ${mixture.name}, as in llama-quantize`),
    ];
  }
  const overrides = compileTypeOverrides(params);
  const namesWhere = (holds: (tensor: (typeof tensors)[number]) => boolean): string[] =>
    tensors.filter((tensor) => holds(tensor)).map(({ name }) => name);
  const quantized = new Set(
    namesWhere(({ name, ne }) => {
      return isQuantizable(name, ne) && !(leaveOutputTensor === true && tensorCategory(name) === "output");
    }),
  );
  return rules.flatMap((rule, index) => {
    const matched = namesWhere(({ name }) => overrides.matches(index, name));
    if (matched.length === 0) return [unmatched(rule)];
    const open = matched.filter((name) => quantized.has(name));
    if (open.length === 0) {
      return [ineffective(rule, `it matches only what is not quantized: ${listNames(matched, MOST_NAMED)}`)];
    }
    const free = open.filter((name) => overrides.fixedType(name, tensorCategory(name)) === undefined);
    if (free.length === 0) {
      return [ineffective(rule, `another option gives the type of ${listNames(open, MOST_NAMED)}`)];
    }
    if (free.some((name) => overrides.ruleFor(name) === index)) return [];
    return [ineffective(rule, `rules before it match ${listNames(free, MOST_NAMED)} first`)];
  });
}

function unmatched({ pattern, type }: TensorTypeRule): QuernError {
  const hint = /\p{Lu}/u.test(pattern) ? ", whose names are in lower case" : "";
  return new QuernError(
    "MIXTURE_PATTERN_UNMATCHED",
    `the rule ${pattern}=${type} matches no tensor of the model${hint}`,
    { subject: { key: pattern } },
  );
}

function ineffective({ pattern, type }: TensorTypeRule, reason: string): QuernError {
  return new QuernError(
    "MIXTURE_PATTERN_INEFFECTIVE",
    `the rule ${pattern}=${type} changes nothing: ${reason}`,
    { subject: { key: pattern } },
  );
}
