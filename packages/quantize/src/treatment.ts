import type { Kernels } from "@quern/kernels";
import type { Calibrator } from "./calibrators/calibrator.ts";
import type { Grid } from "./grids/grid.ts";
import { CALIBRATORS, findMember, GRIDS, ROUNDINGS } from "./registry.ts";
import type { Rounding } from "./roundings/rounding.ts";

/** A member of an axis as plain data: it stands in recipes and travels to threads. */
export interface MemberSpec {
  /** As in the registry: "uniform", "gptq". */
  readonly name: string;
  /** What the member is made from; plain JSON. @default its defaults */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** How a matrix is rounded, as plain data. */
export interface Treatment {
  readonly grid: MemberSpec;
  readonly rounding: MemberSpec;
  /** @default ranges of the values */
  readonly calibrator?: MemberSpec;
  /** Whether ranges are searched by `e H e^T`. @default false */
  readonly searchInHessian?: boolean;
}

/** What members of the axes may need of the place where they run. */
export interface MemberContext {
  /** Grids of ggml's blocks have them search for scales. */
  readonly kernels: Kernels;
}

/** The members that a treatment names. */
export interface TreatmentMembers {
  readonly grid: Grid;
  readonly rounding: Rounding;
  readonly calibrator?: Calibrator;
  readonly searchInHessian: boolean;
}

type MakeMember<T> = (options: Readonly<Record<string, unknown>>, context: MemberContext) => T;

/**
 * Makes the members that a treatment names.
 *
 * @throws QuernError `QUANTIZE_UNKNOWN`, `QUANTIZE_OPTION`
 */
export function membersOf(treatment: Treatment, context: MemberContext): TreatmentMembers {
  const { grid, rounding, calibrator, searchInHessian = false } = treatment;
  const make = <T>(members: object, { name, options = {} }: MemberSpec): T =>
    (findMember(members, name) as MakeMember<T>)(options, context);
  return {
    grid: make<Grid>(GRIDS, grid),
    rounding: make<Rounding>(ROUNDINGS, rounding),
    ...(calibrator && { calibrator: make<Calibrator>(CALIBRATORS, calibrator) }),
    searchInHessian,
  };
}
