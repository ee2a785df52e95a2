/**
 * What a function makes of all items, begun in their order; waits for what has begun before it fails.
 *
 * @throws the first error
 */
export async function settled<T, R>(items: readonly T[], make: (item: T) => Promise<R>): Promise<R[]> {
  const results = await Promise.allSettled(items.map(make));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results.map((result) => (result as PromiseFulfilledResult<R>).value);
}
