import type { Kernels } from "@quern/kernels";

/** A case of fixtures/forward. */
export interface ForwardCase {
  readonly checkpoint: string;
  readonly edits: Readonly<Record<string, unknown>>;
  readonly tokens: readonly number[];
}

export declare function forwardCases(): Map<string, ForwardCase>;

export declare function convertCase(
  given: ForwardCase,
  target: { readonly name: string; readonly folder: string },
): Promise<string>;

export declare function compareForward(params: {
  readonly path: string;
  readonly tokens: readonly number[];
  readonly architecture: string;
  readonly kernels: Kernels;
}): Promise<{ readonly asIs: number; readonly rounded: number; readonly roundings: readonly string[] }>;
