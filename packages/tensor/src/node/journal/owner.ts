import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { isCount, isRecord } from "./kind.ts";

/** A process that writes files. */
export interface JournalOwner {
  readonly host: string;
  readonly pid: number;
  /** When it was started, as its system tells: numbers of processes are used again. Absent where it does not. */
  readonly started?: string;
}

/** This process. */
export async function thisOwner(): Promise<JournalOwner> {
  const started = await startOf(process.pid);
  return { host: hostname(), pid: process.pid, ...(started === undefined ? {} : { started }) };
}

/** Journals that this process is writing. */
export const JOURNALS_IN_HAND: Set<string> = new Set();

/** Whether a process is writing a journal; of other machines that cannot be told. */
export async function isWriting({ host, pid, started }: JournalOwner, path: string): Promise<boolean> {
  if (host !== hostname()) return false;
  if (pid === process.pid) return JOURNALS_IN_HAND.has(path);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // It runs, and is somebody else's.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  const startedNow = await startOf(pid);
  return started === undefined || startedNow === undefined || started === startedNow;
}

export function isOwner(value: unknown): value is JournalOwner {
  if (!isRecord(value)) return false;
  const { host, pid, started } = value;
  return typeof host === "string" && isCount(pid) && (started === undefined || typeof started === "string");
}

/** On Linux, clock ticks since the machine was started: field 22 of proc(5)'s stat, behind a name that may hold anything. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat
    ?.slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .at(19);
}
