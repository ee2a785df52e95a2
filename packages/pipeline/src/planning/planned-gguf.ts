import { basename } from "node:path";
import type { GgufModel } from "@quern/checkpoints";
import { ggufModel } from "@quern/checkpoints/node";
import { withoutSplitKeys } from "@quern/gguf";
import type { PlannedOutput } from "../plan.ts";

/** The model that an output is going to be, as it opens once it is there: what can be found out about it before anything is written. */
export function plannedGguf({ files }: Pick<PlannedOutput, "files">): GgufModel {
  const [first] = files;
  return ggufModel({
    path: first!.path,
    metadata: withoutSplitKeys(first!.layout.metadata),
    shards: files.map(({ path, fileSize }) => ({
      name: basename(path),
      location: { kind: "file", path },
      size: fileSize,
    })),
    tensors: files.flatMap(({ layout }, file) => layout.tensors.map((tensor) => ({ ...tensor, file }))),
  });
}
