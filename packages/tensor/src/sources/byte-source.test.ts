import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ByteSource } from "../byte-source.ts";
import { fileSource } from "../node/file-source.ts";
import { blobSource } from "./blob-source.ts";
import { bytesSource } from "./bytes-source.ts";
import { httpRangeSource } from "./http-range-source.ts";

const CONTENT = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) >>> 3);

let folder: string;
let server: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "byte-source-"));
  await writeFile(join(folder, "content.bin"), CONTENT);
  await writeFile(join(folder, "empty.bin"), "");
  server = createServer((request, response) => {
    const body = request.url === "/empty.bin" ? new Uint8Array(0) : CONTENT;
    const [first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!.slice(1).map(Number) as [
      number,
      number,
    ];
    if (first >= body.length) {
      response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
      return;
    }
    response.writeHead(206, { "content-range": `bytes ${first}-${last}/${body.length}`, etag: '"v1"' });
    response.end(body.subarray(first, last + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const url = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

const SOURCES: Readonly<Record<string, (content: "content.bin" | "empty.bin") => Promise<ByteSource>>> = {
  bytesSource: async (content) =>
    bytesSource({ bytes: content === "empty.bin" ? new Uint8Array(0) : CONTENT }),
  "bytesSource of an ArrayBuffer": async (content) =>
    bytesSource({ bytes: content === "empty.bin" ? new ArrayBuffer(0) : CONTENT.slice().buffer }),
  blobSource: async (content) => blobSource({ blob: new Blob(content === "empty.bin" ? [] : [CONTENT]) }),
  fileSource: (content) => fileSource({ path: join(folder, content) }),
  httpRangeSource: (content) => httpRangeSource({ url: url(`/${content}`) }),
};

describe.each(Object.entries(SOURCES))("%s", (_, open) => {
  it("knows its size and reads any range", async () => {
    const source = await open("content.bin");
    expect(source.size).toBe(CONTENT.length);
    for (const [offset, length] of [
      [0, 10],
      [1_234_567, 1_000_001],
      [CONTENT.length - 1, 1],
      [0, CONTENT.length],
    ] as const) {
      const bytes = await source.read(offset, length);
      expect(Buffer.compare(bytes, CONTENT.subarray(offset, offset + length))).toBe(0);
    }
    await source.close();
  });

  it("reads many ranges at the same time", async () => {
    const source = await open("content.bin");
    const offsets = Array.from({ length: 20 }, (_, i) => i * 149_000);
    const parts = await Promise.all(offsets.map((offset) => source.read(offset, 1000)));
    for (const [i, offset] of offsets.entries()) {
      expect(Buffer.compare(parts[i]!, CONTENT.subarray(offset, offset + 1000))).toBe(0);
    }
    await source.close();
  });

  it("fills the array given, shared memory included, and nothing beyond", async () => {
    const source = await open("content.bin");
    for (const buffer of [new ArrayBuffer(32), new SharedArrayBuffer(32)]) {
      const memory = new Uint8Array(buffer);
      const bytes = await source.read(100, 8, memory.subarray(4, 20));
      expect(bytes.buffer).toBe(buffer);
      expect([...bytes]).toEqual([...CONTENT.subarray(100, 108)]);
      expect([...memory]).toEqual([0, 0, 0, 0, ...CONTENT.subarray(100, 108), ...new Uint8Array(20)]);
    }
    await source.close();
  });

  it("reads nothing when asked for nothing, at its end too", async () => {
    const source = await open("content.bin");
    expect(await source.read(0, 0)).toHaveLength(0);
    expect(await source.read(CONTENT.length, 0)).toHaveLength(0);
    await source.close();
    const empty = await open("empty.bin");
    expect(empty.size).toBe(0);
    expect(await empty.read(0, 0)).toHaveLength(0);
    await empty.close();
  });

  it.each([
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, 1.5],
    [Number.NaN, 1],
    [0, CONTENT.length + 1],
    [CONTENT.length, 1],
    [2 ** 53, 1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ])("refuses the range %d, %d", async (offset, length) => {
    const source = await open("content.bin");
    await expect(source.read(offset, length)).rejects.toThrow(
      expect.objectContaining({
        code: "SOURCE_OUT_OF_RANGE",
        subject: { file: source.name, offset },
        message: expect.stringContaining(source.name) as string,
      }),
    );
    await source.close();
  });

  it("refuses an array that is too short", async () => {
    const source = await open("content.bin");
    await expect(source.read(0, 10, new Uint8Array(9))).rejects.toThrow(
      expect.objectContaining({ code: "SOURCE_BUFFER_TOO_SMALL" }),
    );
    await source.close();
  });

  it("can be closed twice", async () => {
    const source = await open("content.bin");
    await source.close();
    await expect(source.close()).resolves.toBeUndefined();
  });
});

describe("blobSource", () => {
  it("is called after a File", () => {
    expect(blobSource({ blob: new File([], "a.safetensors") }).name).toBe("a.safetensors");
    expect(blobSource({ blob: new Blob([]) }).name).toBe("blob");
    expect(blobSource({ blob: new Blob([]), name: "upload" }).name).toBe("upload");
  });

  it("reports a Blob that cannot be read any more", async () => {
    const blob = new Blob([CONTENT]);
    blob.slice = () => {
      throw new DOMException("the file was changed", "NotReadableError");
    };
    await expect(blobSource({ blob }).read(5, 1)).rejects.toThrow(
      expect.objectContaining({
        code: "SOURCE_READ_FAILED",
        subject: { file: "blob", offset: 5 },
        cause: expect.any(DOMException) as DOMException,
      }),
    );
  });
});

describe("memory", () => {
  it("reports an array that cannot be made", async () => {
    const size = Number.MAX_SAFE_INTEGER;
    const blob = new Blob([]);
    Object.defineProperty(blob, "size", { value: size });
    await expect(blobSource({ blob }).read(0, size)).rejects.toThrow(
      expect.objectContaining({ code: "SOURCE_OUT_OF_MEMORY" }),
    );
  });
});
