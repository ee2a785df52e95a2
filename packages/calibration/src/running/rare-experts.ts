import { openStatistics } from "@quern/statistics";
import type { CalibrationPlan } from "../plan.ts";

/** Experts of a layer that saw few tokens. */
export interface RareExperts {
  /** Name of the input: "blk.3.ffn_gate_exps". */
  readonly input: string;
  readonly experts: number;
  /** Experts that no token was routed to. */
  readonly unseen: number;
  /** Experts with fewer tokens than inputs, the unseen ones included: their Hessians are singular. */
  readonly few: number;
}

/** Finds the layers whose experts did not all see enough, in a file that is finished. */
export async function rareExperts({ output, stages }: CalibrationPlan): Promise<RareExperts[]> {
  const routed = stages.flatMap(({ stage }) =>
    stage.inputs.filter(({ rowsPerToken, matrices }) => rowsPerToken < matrices),
  );
  if (routed.length === 0) return [];
  const statistics = await openStatistics(output);
  try {
    return routed.flatMap(({ name, columns, matrices }) => {
      const tokens = statistics.tokens(name);
      const unseen = tokens.filter((count) => count === 0).length;
      const few = tokens.filter((count) => count < columns).length;
      return few === 0 ? [] : [{ input: name, experts: matrices, unseen, few }];
    });
  } finally {
    await statistics.close();
  }
}
