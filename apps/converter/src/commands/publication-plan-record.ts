import type { PublicationPlan } from "@quern/publishing";

/** The plan as `--json` has it. */
export function publicationPlanRecord(plan: PublicationPlan): Record<string, unknown> {
  const { target, items, groups, directory, deletesLocal, evaluation, peakMemory } = plan;
  return {
    type: "plan",
    repository: target.id,
    exists: target.exists,
    private: target.isPrivate,
    pullRequest: target.opensPullRequest,
    directory,
    deletesLocal,
    peakMemory,
    ...(evaluation && { evaluation: evaluation.estimate }),
    items: items.map(({ item, state }) => ({
      item: item.name,
      state,
      bytes: item.bytes,
      files: item.targets,
    })),
    passes: groups.map((group) => ({
      items: group.items.map(({ name }) => name),
      sourceBytes: group.sourceBytes,
      networkBytes: group.networkBytes,
      peakMemory: group.peakMemory,
    })),
  };
}
