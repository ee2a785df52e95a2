/** What the manifest of a folder is called. */
export const FOLDER_MANIFEST = "quern-manifest.json";

/** What the manifest of a file, or of a split set whose first file it is, is called. */
export function manifestName(file: string): string {
  return `${file}.manifest.json`;
}

/** Bytes of the largest manifest that is read: that of a million tensors is smaller. */
export const LARGEST_MANIFEST: number = 2 ** 28;
