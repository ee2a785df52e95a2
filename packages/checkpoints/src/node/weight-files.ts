import { type ByteSource, QuernError } from "@quern/tensor";
import { readSafetensorsIndex, type SafetensorsIndex } from "safetensors-js";

const INDEX = "model.safetensors.index.json";

/** Where weights are looked for. */
export interface WeightFolder {
  /** As messages call it. */
  readonly name: string;
  /** Names of the files in it. */
  list(): Promise<readonly string[]>;
  /** @returns undefined when there is no such file */
  open(name: string): Promise<ByteSource | undefined>;
}

/**
 * Finds the files of weights: those that the index names; else, as llama.cpp's converter does, `model*.safetensors`; else
 * every `*.safetensors`.
 *
 * @returns the index, or one that names only the files
 * @throws QuernError `CHECKPOINT_NO_WEIGHTS`, `CHECKPOINT_NO_SAFETENSORS`, and what `readSafetensorsIndex` throws
 */
export async function findWeightFiles(folder: WeightFolder): Promise<SafetensorsIndex> {
  const source = await folder.open(INDEX);
  if (source !== undefined) {
    try {
      return await readSafetensorsIndex(source);
    } finally {
      await source.close();
    }
  }
  const names = (await folder.list()).toSorted();
  const safetensors = names.filter((name) => name.endsWith(".safetensors"));
  const main = safetensors.filter((name) => name.startsWith("model"));
  const fileNames = main.length > 0 ? main : safetensors;
  if (fileNames.length === 0) throw noWeights(folder.name, names);
  return { name: folder.name, metadata: {}, weightMap: new Map(), fileNames };
}

/** Formats that people take for a checkpoint we read, by file ending. */
const OTHER_FORMATS: readonly (readonly [ending: RegExp, advice: string])[] = [
  [
    /\.(bin|pth|pt|ckpt)$/,
    "a PyTorch pickle, which can run any code when it is opened. Load it with transformers and save it again " +
      "with save_pretrained, which writes safetensors, or look for a repository that has them",
  ],
  [/\.gguf$/, "GGUF already, which is read as a file of this machine: name that to quantize it again"],
  [/\.(h5|msgpack|onnx)$/, "weights of another framework: expected safetensors"],
];

function noWeights(root: string, names: readonly string[]): QuernError {
  for (const [ending, advice] of OTHER_FORMATS) {
    const found = names.find((name) => ending.test(name));
    if (found === undefined) continue;
    return new QuernError(
      "CHECKPOINT_NO_SAFETENSORS",
      `${root} has no safetensors, only ${found}: this is ${advice}.`,
      {
        subject: { file: `${root}/${found}` },
      },
    );
  }
  return new QuernError("CHECKPOINT_NO_WEIGHTS", `${root} holds no *.safetensors file and no ${INDEX}.`, {
    subject: { file: root },
  });
}
