import { findMember, type MemberSpec } from "@quern/quantize";

/**
 * A member of an axis that needs nothing of the place where it runs.
 *
 * @throws QuernError `QUANTIZE_UNKNOWN`, `QUANTIZE_OPTION`
 */
export function makeMember<T>(axis: object, { name, options = {} }: MemberSpec): T {
  return (findMember(axis, name) as (options: MemberSpec["options"]) => T)(options);
}
