import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type ErrorSubject, QuernError } from "@quern/tensor";
import type { SafetensorsLayout, SafetensorsPlacedTensor } from "../write/plan.ts";

/** Most bytes given to the system in one call. Node writes at most 2^31 - 1 bytes at a time. */
const MAX_CHUNK = 2 ** 30;

/**
 * Writes a file of a planned layout tensor by tensor, in any order and in pieces of any size.
 *
 * The data goes to a temporary file beside the target, which takes the target's name when everything is there: a file of that
 * name is either the old one or the complete new one, even for programs that have the old one mapped into memory.
 */
export class SafetensorsWriter {
  readonly #path: string;
  readonly #temporary: string;
  readonly #layout: SafetensorsLayout;
  readonly #handle: FileHandle;
  /** Bytes of each tensor written so far. */
  readonly #written = new Map<string, number>();
  #open = true;

  private constructor(path: string, temporary: string, layout: SafetensorsLayout, handle: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#layout = layout;
    this.#handle = handle;
  }

  /**
   * Makes the temporary file and writes the header.
   *
   * @throws QuernError `SAFETENSORS_WRITE_FAILED` with the system's error as the cause.
   */
  static async create(params: { path: string; layout: SafetensorsLayout }): Promise<SafetensorsWriter> {
    const { path, layout } = params;
    const temporary = `${path}.${randomBytes(6).toString("hex")}.partial`;
    let handle: FileHandle;
    try {
      handle = await open(temporary, "wx");
    } catch (cause) {
      throw writeFailed(path, cause);
    }
    const writer = new SafetensorsWriter(path, temporary, layout, handle);
    try {
      await handle.truncate(layout.fileSize);
      await writeFully(handle, layout.header, 0);
    } catch (cause) {
      await writer.abort();
      throw writeFailed(path, cause);
    }
    return writer;
  }

  /**
   * Appends bytes to a tensor.
   *
   * @throws QuernError `SAFETENSORS_UNKNOWN_TENSOR`, `SAFETENSORS_WRITE_OVERFLOW` when the tensor has no room for them,
   * `SAFETENSORS_WRITER_CLOSED`, `SAFETENSORS_WRITE_FAILED`.
   */
  async write(params: { tensor: string; bytes: Uint8Array }): Promise<void> {
    const { tensor, bytes } = params;
    this.#checkOpen();
    const placed = this.#layout.tensors.get(tensor);
    if (placed === undefined) {
      throw this.#failed("SAFETENSORS_UNKNOWN_TENSOR", "not in the layout", { tensor });
    }
    const position = this.#written.get(tensor) ?? 0;
    if (position + bytes.byteLength > placed.size) {
      throw this.#failed(
        "SAFETENSORS_WRITE_OVERFLOW",
        `${bytes.byteLength} bytes at ${position} do not fit in its ${placed.size} bytes`,
        { tensor, offset: position },
      );
    }
    this.#written.set(tensor, position + bytes.byteLength);
    try {
      await writeFully(this.#handle, bytes, placed.offset + position);
    } catch (cause) {
      throw writeFailed(this.#path, cause, { tensor, offset: placed.offset + position });
    }
  }

  /**
   * Checks that every tensor is complete, flushes the data to the disk and gives the file its name.
   *
   * @throws QuernError `SAFETENSORS_WRITE_INCOMPLETE`, `SAFETENSORS_WRITER_CLOSED`, `SAFETENSORS_WRITE_FAILED`; the temporary
   * file is removed.
   */
  async finish(): Promise<void> {
    this.#checkOpen();
    try {
      for (const placed of this.#layout.tensors.values()) this.#checkComplete(placed);
      await this.#handle.sync();
      this.#open = false;
      await this.#handle.close();
      await rename(this.#temporary, this.#path);
      await syncDirectory(dirname(this.#path));
    } catch (cause) {
      await this.abort();
      throw cause instanceof QuernError ? cause : writeFailed(this.#path, cause);
    }
  }

  /** Removes the temporary file. Does nothing after `finish()`. */
  async abort(): Promise<void> {
    if (this.#open) {
      this.#open = false;
      await this.#handle.close();
    }
    await rm(this.#temporary, { force: true });
  }

  #checkComplete({ info, size }: SafetensorsPlacedTensor): void {
    const written = this.#written.get(info.name) ?? 0;
    if (written === size) return;
    throw this.#failed("SAFETENSORS_WRITE_INCOMPLETE", `${written} of ${size} bytes were written`, {
      tensor: info.name,
    });
  }

  #checkOpen(): void {
    if (!this.#open) {
      throw new QuernError("SAFETENSORS_WRITER_CLOSED", `${this.#path}: the writer is finished or aborted`, {
        subject: { file: this.#path },
      });
    }
  }

  #failed(code: string, problem: string, subject: ErrorSubject & { tensor: string }): QuernError {
    return new QuernError(code, `${this.#path}: tensor ${JSON.stringify(subject.tensor)}: ${problem}`, {
      subject: { file: this.#path, ...subject },
    });
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(bytes.byteLength - done, MAX_CHUNK);
    done += (await handle.write(bytes, done, length, position + done)).bytesWritten;
  }
}

/** Makes the rename itself durable, where the system lets a directory be opened (Windows does not). */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function writeFailed(path: string, cause: unknown, subject: ErrorSubject = {}): QuernError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new QuernError("SAFETENSORS_WRITE_FAILED", `${path}: writing failed: ${reason}`, {
    subject: { file: path, ...subject },
    cause,
  });
}
