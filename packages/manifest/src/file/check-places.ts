import type { Manifest } from "../manifest.ts";

/** What is wrong with the places of tensors in files, and where: a key such as "tensors[3].offset". */
export interface PlaceProblem {
  readonly key: string;
  readonly message: string;
}

/** Checks that files have names of their own, and that tensors follow each other within them. */
export function findPlaceProblem({ files, tensors }: Manifest): PlaceProblem | undefined {
  const names = new Set<string>();
  for (const [index, { name, bytes, header }] of files.entries()) {
    const key = `files[${index}]`;
    if (names.has(name)) return { key: `${key}.name`, message: `"${name}" is there twice` };
    names.add(name);
    if (header !== undefined && header.bytes > bytes) {
      return { key: `${key}.header.bytes`, message: `expected at most ${bytes}, the bytes of the file` };
    }
  }
  const known = new Set<string>();
  let [last, end] = [0, files[0]!.header?.bytes ?? 0];
  for (const [index, tensor] of tensors.entries()) {
    const key = `tensors[${index}]`;
    const { name, file, offset, bytes } = tensor;
    if (known.has(name)) return { key: `${key}.name`, message: `"${name}" is there twice` };
    known.add(name);
    if (file < last || file >= files.length) {
      return { key: `${key}.file`, message: `expected ${last} to ${files.length - 1}` };
    }
    if (file > last) [last, end] = [file, files[file]!.header?.bytes ?? 0];
    const place = files[file]!;
    if (offset < end) {
      return { key: `${key}.offset`, message: `expected at least ${end}, where what is before it ends` };
    }
    if (offset + bytes > place.bytes) {
      return { key: `${key}.bytes`, message: `its data ends behind the ${place.bytes} bytes of its file` };
    }
    end = offset + bytes;
  }
  return undefined;
}
