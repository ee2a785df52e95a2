import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, open, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fileSource } from "./file-source.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "file-source-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

function failure(code: string, file: string): Error {
  return expect.objectContaining({
    code,
    subject: { file },
    message: expect.stringContaining(file) as string,
  }) as Error;
}

describe("fileSource", () => {
  it("says that a file is missing", async () => {
    const path = join(folder, "absent");
    await expect(fileSource({ path })).rejects.toThrow(failure("SOURCE_NOT_FOUND", path));
    await writeFile(path, "");
    const below = join(path, "below");
    await expect(fileSource({ path: below })).rejects.toThrow(failure("SOURCE_NOT_FOUND", below));
  });

  it("refuses directories, pipes and devices", async () => {
    await expect(fileSource({ path: folder })).rejects.toThrow(failure("SOURCE_NOT_A_FILE", folder));
    await expect(fileSource({ path: "/dev/zero" })).rejects.toThrow(
      failure("SOURCE_NOT_A_FILE", "/dev/zero"),
    );
    const pipe = join(folder, "pipe");
    execFileSync("sh", ["-c", 'mkfifo "$0"', pipe]);
    await expect(fileSource({ path: pipe })).rejects.toThrow(failure("SOURCE_NOT_A_FILE", pipe));
  });

  it("says that permission is missing", async () => {
    const path = join(folder, "secret");
    await writeFile(path, "");
    await chmod(path, 0);
    // Root may read anything: it has to step down for a moment.
    const root = process.geteuid!() === 0;
    if (root) process.seteuid!(65534);
    try {
      await expect(fileSource({ path })).rejects.toThrow(failure("SOURCE_UNREADABLE", path));
    } finally {
      if (root) process.seteuid!(0);
    }
  });

  it("reports other failures with their cause", async () => {
    const path = join(folder, "n".repeat(5000));
    await expect(fileSource({ path })).rejects.toThrow(
      expect.objectContaining({
        code: "SOURCE_READ_FAILED",
        cause: expect.objectContaining({ code: "ENAMETOOLONG" }) as Error,
      }),
    );
  });

  it("is called by the name given", async () => {
    const path = join(folder, "absent");
    await expect(fileSource({ path, name: "weights" })).rejects.toThrow(
      failure("SOURCE_NOT_FOUND", "weights"),
    );
  });

  it("notices a file that is cut after opening", async () => {
    const path = join(folder, "file");
    await writeFile(path, new Uint8Array(1000));
    const source = await fileSource({ path });
    await truncate(path, 600);
    await expect(source.read(500, 400)).rejects.toThrow(
      expect.objectContaining({
        code: "SOURCE_TRUNCATED",
        subject: { file: path, offset: 600 },
        message: expect.stringContaining("got 100 of 400 bytes from offset 500") as string,
      }),
    );
    await source.close();
  });

  it("refuses to read after close", async () => {
    const path = join(folder, "file");
    await writeFile(path, "abc");
    const source = await fileSource({ path });
    await source.close();
    await expect(source.read(0, 1)).rejects.toThrow(failure("SOURCE_CLOSED", path));
  });

  it("reads beyond 4 GiB", async () => {
    const path = join(folder, "sparse");
    const size = 5 * 2 ** 30;
    const handle = await open(path, "w");
    await handle.truncate(size);
    await handle.write(Uint8Array.of(1, 2, 3), 0, 3, size - 3);
    await handle.close();
    const source = await fileSource({ path });
    expect([...(await source.read(size - 4, 4))]).toEqual([0, 1, 2, 3]);
    await source.close();
  });
});
