import { remoteBytes } from "@quern/checkpoints/node";
import type { ModelSource } from "@quern/pipeline";
import { formatBytes } from "./bytes.ts";
import { printable } from "./printable.ts";

/**
 * What will be read over the network, and from where; nothing when all is on this machine.
 *
 * @param left Bytes that are still to come, where an earlier run has had the others.
 */
export function networkFact(
  bytes: number,
  location: string,
  left: number = bytes,
): (readonly [string, string])[] {
  if (bytes === 0) return [];
  const amount =
    left === bytes ? formatBytes(bytes) : `${formatBytes(left)} of ${formatBytes(bytes)} still to come`;
  return [["network", `${amount} from ${printable(location)}`]];
}

/** The same for all weights of these models. */
export function networkFacts(sources: readonly ModelSource[]): (readonly [string, string])[] {
  return networkOf(sources).flatMap(({ bytes, location }) => networkFact(bytes, location));
}

/** Bytes of the weights of models that will be read over the network, and from where. */
export function networkOf(sources: readonly ModelSource[]): readonly { bytes: number; location: string }[] {
  return sources.map(({ tensors, shards, location }) => ({
    bytes: remoteBytes(tensors.values(), shards),
    location,
  }));
}
