import { join } from "node:path";
import type { Manifest } from "@quern/manifest";
import { hashFile } from "@quern/manifest/node";
import { type ByteSource, QuernError } from "@quern/tensor";
import { fileSource } from "@quern/tensor/node";
import { checkSet, checkStructure } from "./check-structure.ts";
import type { FileProgressEvent } from "../provenance/write-manifests.ts";
import { type Finding, problemOf } from "./finding.ts";

/** What checking files has found. */
export interface FileVerification {
  /** None where all is as it should be. */
  readonly findings: readonly Finding[];
  readonly files: number;
  readonly tensors: number;
  /** That were read. */
  readonly bytes: number;
}

/**
 * Compares files with what their manifest says of them: sizes, structure, hashes of headers, tensors and whole files, zeros between
 * tensors. Every byte is read once, in bounded memory.
 *
 * @param params.folder Where the files lie.
 * @throws the reason of the signal; QuernError `SOURCE_READ_FAILED`
 */
export async function verifyFiles(params: {
  readonly manifest: Manifest;
  readonly folder: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: FileProgressEvent) => void;
}): Promise<FileVerification> {
  const { manifest, folder, signal, onEvent } = params;
  const total = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
  const open = (name: string): Promise<ByteSource> => fileSource({ path: join(folder, name), name });
  const findings: Finding[] = [];
  let done = 0;
  for (const [index, { name }] of manifest.files.entries()) {
    const source = await open(name).catch((error: unknown) => {
      if (!(error instanceof QuernError)) throw error;
      findings.push({ kind: "file", file: name, message: problemOf(error, name) });
    });
    if (!source) continue;
    try {
      const onBytes = (bytes: number): void => {
        done += bytes;
        onEvent?.({ type: "progress", place: name, done, total: Math.max(total, done) });
      };
      findings.push(
        ...(await checkStructure({ manifest, index, source })),
        ...(await checkHashes({ manifest, index, source, onBytes, ...(signal && { signal }) })),
      );
    } finally {
      await source.close();
    }
  }
  if (!findings.some(({ kind }) => kind === "file")) findings.push(...(await checkSet({ manifest, open })));
  return { findings, files: manifest.files.length, tensors: manifest.tensors.length, bytes: done };
}

async function checkHashes(params: {
  readonly manifest: Manifest;
  readonly index: number;
  readonly source: ByteSource;
  readonly signal?: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}): Promise<Finding[]> {
  const { manifest, index, source, ...options } = params;
  const { name: file, bytes, sha256, header } = manifest.files[index]!;
  if (source.size !== bytes) {
    const message = `has ${source.size} bytes: expected ${bytes}`;
    return [{ kind: "file", file, offset: Math.min(source.size, bytes), message }];
  }
  const tensors = manifest.tensors.filter((tensor) => tensor.file === index);
  const parts = [
    ...(header === undefined ? [] : [{ kind: "header" as const, offset: 0, ...header }]),
    ...tensors.map(({ name, offset, bytes: size, sha256: hash }) => ({
      kind: "tensor" as const,
      tensor: name,
      offset,
      bytes: size,
      sha256: hash,
    })),
  ];
  const hashes = await hashFile({ source, regions: parts, findStray: header !== undefined, ...options });
  const findings = parts.flatMap((part, i): Finding[] => {
    const { bytes: size, sha256: hash, ...place } = part;
    if (hashes.regions[i] === hash) return [];
    const end = part.offset + size;
    return [
      { ...place, file, message: `bytes ${part.offset} to ${end} have another hash than the manifest says` },
    ];
  });
  if (hashes.stray !== undefined) {
    const message = "a byte between tensors is not 0";
    findings.push({ kind: "padding", file, offset: hashes.stray, message });
  }
  if (findings.length > 0 || hashes.sha256 === sha256) return findings;
  return [{ kind: "content", file, message: `has the hash ${hashes.sha256}: expected ${sha256}` }];
}
