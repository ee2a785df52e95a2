import { QuernError } from "@quern/tensor";
import type { Backend } from "./backend.ts";
import { checkedKernels } from "./checked-kernels.ts";
import type { BackendReport, KernelBackend, Kernels } from "./kernels.ts";

/** A backend that may or may not work here. */
export interface BackendLoader {
  readonly backend: KernelBackend;
  /** @throws whatever keeps it from working. */
  readonly load: () => Promise<LoadedBackend>;
}

interface LoadedBackend {
  /** Instruction sets that this machine runs, slowest first. */
  readonly isas: readonly string[];
  readonly open: (isa: string) => Backend;
}

export interface SelectKernelsParams {
  /** In order of preference. */
  readonly loaders: readonly BackendLoader[];
  /** Only this one will do. */
  readonly backend?: KernelBackend | undefined;
  /** Only this one will do. */
  readonly isa?: string | undefined;
  /** Who asks for the backend or instruction set, in messages. */
  readonly askedBy: string;
}

/** The first backend that works and fits the wishes. */
export async function selectKernels(params: SelectKernelsParams): Promise<Kernels> {
  const { loaders, backend, isa, askedBy } = params;
  const wish = [backend, isa].filter((part) => part !== undefined).join(" ");
  const failures: Error[] = [];
  for (const loader of loaders) {
    if (backend !== undefined && loader.backend !== backend) continue;
    try {
      const loaded = await loader.load();
      const chosen = isa ?? loaded.isas.at(-1)!;
      if (!loaded.isas.includes(chosen)) {
        throw new Error(`no instruction set "${chosen}", only ${loaded.isas.join(", ")}`);
      }
      const reason = wish ? `${wish} was asked for by ${askedBy}` : preference(loader.backend, failures);
      return checkedKernels(loaded.open(chosen), reason);
    } catch (error) {
      failures.push(new Error(`${loader.backend} kernels: ${messageOf(error)}`, { cause: error }));
    }
  }
  const causes = failures.map(({ message }) => message);
  if (causes.length === 0)
    causes.push(`there are ${loaders.map((loader) => loader.backend).join(" and ")} kernels here`);
  const what = wish
    ? `${wish} kernels, which ${askedBy} asks for, are not available`
    : "no kernels are available";
  throw new QuernError("KERNEL_UNAVAILABLE", `${what}: ${causes.join("; ")}`, {
    cause: failures.length === 1 ? failures[0] : new AggregateError(failures),
  });
}

/** What every backend offers here, or why it does not work. */
export async function reportBackends(loaders: readonly BackendLoader[]): Promise<readonly BackendReport[]> {
  return Promise.all(
    loaders.map(async ({ backend, load }) => {
      try {
        return { backend, isas: (await load()).isas };
      } catch (error) {
        return { backend, isas: [], failure: messageOf(error) };
      }
    }),
  );
}

function preference(backend: KernelBackend, failures: readonly Error[]): string {
  if (failures.length > 0) return failures.map(({ message }) => message).join("; ");
  return `${backend} kernels are the fastest ones here`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
