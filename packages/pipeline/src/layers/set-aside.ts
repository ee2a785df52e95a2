import { rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { partialPathOf, reportingAs, syncDirectory } from "@quern/tensor/node";

/**
 * What a folder is called while another one takes its name: no system call that Node knows exchanges two folders, so that there is a moment in
 * which neither has it. A run that ends then leaves the old one here, whole, and the new one under its partial name, whole.
 */
function setAsidePathOf(path: string): string {
  return `${partialPathOf(path)}.replaced`;
}

/** The folder that a run would replace: where it lies now. @returns undefined where there is none */
export async function replacedPathOf(path: string): Promise<string | undefined> {
  for (const name of [path, setAsidePathOf(path)]) if (await exists(name)) return name;
  return undefined;
}

/** Ends what a run that was ended has begun: gives the old folder its name back, unless the new one has it. */
export async function settleSetAside(path: string): Promise<void> {
  const aside = setAsidePathOf(path);
  if (!(await exists(aside))) return;
  await reportingAs(path, async () => {
    if (await exists(path)) await rm(aside, { recursive: true, force: true });
    else await rename(aside, path);
  });
  await syncDirectory(dirname(path));
}

/** Gives a complete folder the name of another one, which is removed then. */
export async function replaceFolder(partial: string, path: string): Promise<void> {
  await settleSetAside(path);
  const aside = setAsidePathOf(path);
  const isThere = await exists(path);
  if (isThere) await rename(path, aside);
  try {
    await rename(partial, path);
  } catch (error) {
    if (isThere) await rename(aside, path);
    throw error;
  }
  await syncDirectory(dirname(path));
  await rm(aside, { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
