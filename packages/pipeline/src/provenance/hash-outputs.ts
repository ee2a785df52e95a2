import type { Manifest, ManifestFile, ManifestTensor } from "@quern/manifest";
import { hashFile } from "@quern/manifest/node";
import { fileSource } from "@quern/tensor/node";

/** A file that has been written, and where its tensors lie. */
export interface HashedFile {
  /** What the manifest calls it. */
  readonly name: string;
  readonly path: string;
  /** Bytes in front of the data of tensors; absent of files without tensors. */
  readonly headerBytes?: number;
  /** In the order of their data. */
  readonly tensors: readonly Omit<ManifestTensor, "file" | "sha256">[];
}

/**
 * Hashes files and their tensors, each read once.
 *
 * @throws the reason of the signal; QuernError `SOURCE_*`
 */
export async function hashOutputs(params: {
  readonly files: readonly HashedFile[];
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number, file: string) => void;
}): Promise<Pick<Manifest, "files" | "tensors">> {
  const { files, signal, onBytes } = params;
  const hashed: ManifestFile[] = [];
  const tensors: ManifestTensor[] = [];
  for (const [file, { name, path, headerBytes, tensors: placed }] of files.entries()) {
    const header = headerBytes === undefined ? [] : [{ offset: 0, bytes: headerBytes }];
    const source = await fileSource({ path });
    try {
      const { sha256, regions } = await hashFile({
        source,
        regions: [...header, ...placed],
        ...(signal && { signal }),
        ...(onBytes && { onBytes: (bytes) => onBytes(bytes, name) }),
      });
      const rest = [...regions];
      hashed.push({
        name,
        bytes: source.size,
        sha256,
        ...(headerBytes === undefined ? {} : { header: { bytes: headerBytes, sha256: rest.shift()! } }),
      });
      for (const tensor of placed) tensors.push({ ...tensor, file, sha256: rest.shift()! });
    } finally {
      await source.close();
    }
  }
  return { files: hashed, tensors };
}
