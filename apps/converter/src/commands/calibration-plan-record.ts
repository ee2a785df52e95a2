import type { CalibrationPlan } from "@quern/calibration";

/** A plan as `--json` reports it. */
export function calibrationPlanRecord(plan: CalibrationPlan): Record<string, unknown> {
  const {
    model,
    windows,
    tokens,
    output,
    fileSize,
    temporaryBytes,
    replaces,
    stages,
    kept,
    memory,
    threads,
    estimate,
  } = plan;
  const { rule, calibration, holdOut, holdOutEvery } = windows;
  return {
    type: "plan",
    model: { name: model.name, architecture: model.architecture, identity: model.identity },
    rule,
    networkBytes: plan.networkBytes,
    networkBytesLeft: plan.networkBytesLeft,
    tokens,
    calibration: calibration.summary,
    ...(holdOut && { holdOut: { every: holdOutEvery, ...holdOut.summary } }),
    ...(kept.windows > 0 && { kept }),
    file: { path: output, bytes: fileSize, replaces },
    temporaryBytes,
    blocks: model.graph.blocks.length,
    passes: stages.map(({ passes }) => passes.length),
    memory,
    threads,
    estimate,
    warnings: plan.warnings.map(({ code, message, subject }) => ({ code, message, subject })),
  };
}
