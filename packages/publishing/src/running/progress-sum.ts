import type { MakeEvent, PublicationEvent } from "../events.ts";
import type { PublicationGroup, PublicationPlan } from "../plan.ts";

/** Adds up what is made and what is uploaded: bytes of all items, each counted once for either. */
export class ProgressSum {
  readonly #emit: (event: PublicationEvent) => void;
  readonly #total: number;
  readonly #groups = new Map<PublicationGroup, number>();
  readonly #items = new Map<string, number>();

  constructor(plan: PublicationPlan, emit: (event: PublicationEvent) => void) {
    this.#emit = emit;
    this.#total = publicationBytes(plan);
  }

  making(group: PublicationGroup, event: MakeEvent): void {
    if (event.type !== "progress") return;
    this.#groups.set(group, bytesOf(group) * (event.total === 0 ? 1 : event.done / event.total));
    this.#tell(`making ${event.tensor}`);
  }

  made(group: PublicationGroup): void {
    this.#groups.set(group, bytesOf(group));
  }

  uploading(item: string, path: string, bytes: number): void {
    this.#items.set(item, bytes);
    this.#tell(`uploading ${path}`);
  }

  /** Something is done that is not counted. */
  at(place: string): void {
    this.#tell(place);
  }

  #tell(place: string): void {
    const done = [...this.#groups.values(), ...this.#items.values()].reduce((sum, bytes) => sum + bytes, 0);
    this.#emit({ type: "progress", place, done: Math.round(done), total: this.#total });
  }
}

/** What is to be done, in bytes that are made and bytes that are uploaded. */
export function publicationBytes({ groups, items }: PublicationPlan): number {
  const uploaded = items.filter(({ state }) => state !== "published");
  return (
    groups.reduce((sum, group) => sum + bytesOf(group), 0) +
    uploaded.reduce((sum, { item }) => sum + item.bytes, 0)
  );
}

function bytesOf({ items }: PublicationGroup): number {
  return items.reduce((sum, { bytes }) => sum + bytes, 0);
}
