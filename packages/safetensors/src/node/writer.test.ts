import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSource } from "@quern/tensor/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSafetensors } from "../read/file.ts";
import { planSafetensors } from "../write/plan.ts";
import { serializeSafetensors } from "../write/serialize.ts";
import { SafetensorsWriter } from "./writer.ts";

const TENSORS = [
  { name: "a", type: "F32" as const, shape: [2, 2], bytes: Uint8Array.from({ length: 16 }, (_, i) => i) },
  { name: "b", type: "U8" as const, shape: [5], bytes: Uint8Array.of(9, 8, 7, 6, 5) },
  { name: "empty", type: "U8" as const, shape: [0], bytes: new Uint8Array(0) },
];
const layout = planSafetensors({ tensors: TENSORS, metadata: { format: "pt" } });

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-writer-"));
  path = join(folder, "model.safetensors");
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function writeAll(writer: SafetensorsWriter): Promise<void> {
  for (const { name, bytes } of TENSORS) await writer.write({ tensor: name, bytes });
}

function failure(code: string, subject: object = {}): Error {
  return expect.objectContaining({ code, subject: expect.objectContaining(subject) as object }) as Error;
}

describe("SafetensorsWriter", () => {
  it("writes pieces in any order", async () => {
    const writer = await SafetensorsWriter.create({ path, layout });
    const [a, b] = [TENSORS[0]!.bytes, TENSORS[1]!.bytes];
    await writer.write({ tensor: "b", bytes: b.subarray(0, 2) });
    await Promise.all([
      writer.write({ tensor: "a", bytes: a.subarray(0, 7) }),
      writer.write({ tensor: "a", bytes: a.subarray(7) }),
      writer.write({ tensor: "b", bytes: b.subarray(2) }),
    ]);
    expect(await readdir(folder)).toEqual([
      expect.stringMatching(/^model\.safetensors\.[0-9a-f]{12}\.partial$/),
    ]);
    await writer.finish();
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
    const expected = serializeSafetensors({ tensors: TENSORS, metadata: { format: "pt" } });
    expect(Buffer.compare(await readFile(path), expected)).toBe(0);
    const file = await readSafetensors(await fileSource({ path }));
    expect(file.tensors.size).toBe(3);
    await file.close();
  });

  it("leaves an old file alone until the new one is complete", async () => {
    await writeFile(path, "old");
    const old = await fileSource({ path });
    const writer = await SafetensorsWriter.create({ path, layout });
    await writeAll(writer);
    expect(await readFile(path, "utf8")).toBe("old");
    await writer.finish();
    expect((await readFile(path)).byteLength).toBe(layout.fileSize);
    expect(new TextDecoder().decode(await old.read(0, 3))).toBe("old");
    await old.close();
  });

  it("refuses to finish when bytes are missing, and leaves nothing behind", async () => {
    const writer = await SafetensorsWriter.create({ path, layout });
    await writer.write({ tensor: "a", bytes: TENSORS[0]!.bytes });
    await writer.write({ tensor: "b", bytes: new Uint8Array(4) });
    await expect(writer.finish()).rejects.toThrow(
      failure("SAFETENSORS_WRITE_INCOMPLETE", { file: path, tensor: "b" }),
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses bytes that a tensor has no room for", async () => {
    const writer = await SafetensorsWriter.create({ path, layout });
    await writer.write({ tensor: "b", bytes: new Uint8Array(3) });
    await expect(writer.write({ tensor: "b", bytes: new Uint8Array(3) })).rejects.toThrow(
      failure("SAFETENSORS_WRITE_OVERFLOW", { tensor: "b", offset: 3 }),
    );
    await expect(writer.write({ tensor: "c", bytes: new Uint8Array(1) })).rejects.toThrow(
      failure("SAFETENSORS_UNKNOWN_TENSOR", { tensor: "c" }),
    );
    await writer.abort();
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses everything after its end", async () => {
    const writer = await SafetensorsWriter.create({ path, layout });
    await writeAll(writer);
    await writer.finish();
    const closed = failure("SAFETENSORS_WRITER_CLOSED", { file: path });
    await expect(writer.write({ tensor: "a", bytes: new Uint8Array(0) })).rejects.toThrow(closed);
    await expect(writer.finish()).rejects.toThrow(closed);
    await writer.abort();
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });

  it("reports what the system refuses", async () => {
    await expect(
      SafetensorsWriter.create({ path: join(folder, "absent", "model.safetensors"), layout }),
    ).rejects.toThrow(
      expect.objectContaining({ code: "SAFETENSORS_WRITE_FAILED", cause: expect.any(Error) as Error }),
    );
    await mkdir(path);
    await writeFile(join(path, "file"), "");
    const writer = await SafetensorsWriter.create({ path, layout });
    await writeAll(writer);
    await expect(writer.finish()).rejects.toThrow(failure("SAFETENSORS_WRITE_FAILED", { file: path }));
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });
});
