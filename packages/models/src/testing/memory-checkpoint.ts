import type { CheckpointFiles } from "../model.ts";

/** Path -> content of the files of a checkpoint: text and bytes as they are, anything else as JSON. */
export type Contents = Readonly<Record<string, unknown>>;

/** A checkpoint that is not on disk. */
export function memoryCheckpoint(contents: Contents, name = "some-model"): CheckpointFiles {
  return {
    name,
    has: (path) => contents[path] !== undefined,
    async read(path) {
      const content = contents[path];
      if (content === undefined || content instanceof Uint8Array) return content;
      return new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));
    },
    list: (folder) =>
      Object.keys(contents)
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1)),
  };
}
