import { QuernError } from "@quern/tensor";
import {
  type AllocateShared,
  type InputRequest,
  type InputSource,
  type InputStatistics,
  newShared,
} from "./input-source.ts";
import { statisticsIdentity } from "./statistics-file/statistics-identity.ts";
import type { Statistics } from "./statistics-file/statistics.ts";

/**
 * The inputs that a model had before anything was quantized, as a statistics file has them. What layers become changes nothing of it.
 *
 * @param statistics Closed when the source is.
 * @returns a source whose `read` throws QuernError `STATISTICS_UNKNOWN_MODULE`; `STATISTICS_NOT_COLLECTED` for a Hessian matrix that the
 * run was not asked for, and for products with the inputs of another run; `STATISTICS_TOO_LARGE`, `STATISTICS_INVALID`
 */
export function statisticsInputs(statistics: Statistics): InputSource {
  return {
    follows: false,
    identity: () => statisticsIdentity(statistics),
    read: (request) => readInput(statistics, request),
    replace: async () => undefined,
    blockDone: async () => undefined,
    close: () => statistics.close(),
  };
}

async function readInput(
  statistics: Statistics,
  {
    module,
    matrix = 0,
    hessian,
    cross,
    heldOut,
    histogram = false,
    windows = false,
    allocate = newShared,
  }: InputRequest,
): Promise<InputStatistics> {
  if (cross) {
    throw new QuernError(
      "STATISTICS_NOT_COLLECTED",
      `${statistics.file}: "${module}": products with the inputs of the quantized model are known only where it is run while it is quantized`,
      { subject: { file: statistics.file, tensor: module } },
    );
  }
  const { tokens, mean, meanSquare, meanAbs, absMax } = await statistics.readChannels(module, matrix);
  const rows = heldOut ? await heldOutRows(statistics, { module, matrix, allocate }) : undefined;
  return {
    tokens,
    mean,
    meanSquare,
    meanMagnitude: meanAbs,
    largestMagnitude: absMax,
    ...(hessian && { hessian: await readHessian(statistics, { module, matrix, allocate }) }),
    ...(histogram && { histogram: await statistics.readHistogram(module, matrix) }),
    ...(rows && { heldOut: rows }),
    ...(windows && { windows: await wholeWindows(statistics, module, allocate) }),
  };
}

interface Place {
  readonly module: string;
  readonly matrix: number;
  readonly allocate: AllocateShared;
}

/** None where no window was kept apart, and for an expert that none of their tokens was routed to. */
async function heldOutRows(
  statistics: Statistics,
  { module, matrix, allocate }: Place,
): Promise<Float32Array | undefined> {
  if (statistics.input(module).holdOutRows === 0) return undefined;
  const { rows } = await statistics.readHoldOut(module, matrix);
  if (rows.length === 0) return undefined;
  const shared = new Float32Array(allocate(rows.byteLength));
  shared.set(rows);
  return shared;
}

async function wholeWindows(
  statistics: Statistics,
  module: string,
  allocate: AllocateShared,
): Promise<NonNullable<InputStatistics["windows"]>> {
  const { rows, starts } = await statistics.readWindows(module);
  const shared = new Float32Array(allocate(rows.byteLength));
  shared.set(rows);
  return { rows: shared, starts };
}

async function readHessian(
  statistics: Statistics,
  { module, matrix, allocate }: Place,
): Promise<Float64Array> {
  const { columns, hessian } = statistics.input(module);
  // Of what is not there, reading says so.
  if (!hessian) return statistics.readHessian({ module, matrix });
  return statistics.readHessian({
    module,
    matrix,
    into: sharedSquare(statistics, { module, allocate }, columns),
  });
}

function sharedSquare(
  { file }: Statistics,
  { module, allocate }: Omit<Place, "matrix">,
  size: number,
): Float64Array {
  try {
    return new Float64Array(allocate(size * size * Float64Array.BYTES_PER_ELEMENT));
  } catch (cause) {
    throw new QuernError(
      "STATISTICS_TOO_LARGE",
      `${file}: ${size} x ${size} sums of products for "${module}" do not fit in memory`,
      { subject: { file, tensor: module }, cause },
    );
  }
}
