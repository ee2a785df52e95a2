import type { LayerResultFigures, WrittenTensor } from "../events.ts";
import { type FinishedEntry, finishedEntry } from "../finished-entry.ts";
import { writtenNames } from "../parts.ts";
import type { CheckpointPlan, PlannedCopy, PlannedLinear } from "../plan.ts";
import { type PlacedPart, placedParts } from "../planning/planned-files.ts";
import type { RunLayerTask } from "../tasks/task.ts";

/** Which tensors of a checkpoint are complete, those of an earlier run among them, and the hashes of their bytes. */
export class FinishedWork {
  readonly #places: ReadonlyMap<string, PlacedPart>;
  readonly #run: RunLayerTask;
  readonly #note: ((entry: object) => Promise<void>) | undefined;
  readonly #hashes = new Map<string, string>();
  readonly #layers = new Map<string, LayerResultFigures>();

  /** How many tensors were noted and are to be made again: their bytes are not what they were. */
  #redone = 0;

  private constructor(params: {
    places: ReadonlyMap<string, PlacedPart>;
    run: RunLayerTask;
    note: ((entry: object) => Promise<void>) | undefined;
  }) {
    this.#places = params.places;
    this.#run = params.run;
    this.#note = params.note;
  }

  /**
   * Hashes again what an earlier run has noted: what is not what it was does not count.
   *
   * @param params.entries Of its journal.
   * @param params.note Notes plain data for a later run. @default nothing is hashed
   */
  static async of(params: {
    readonly plan: CheckpointPlan;
    readonly entries: readonly unknown[];
    readonly run: RunLayerTask;
    readonly note?: (entry: object) => Promise<void>;
  }): Promise<FinishedWork> {
    const { plan, entries, run, note } = params;
    const places = new Map(placedParts(plan.checkpoint).map((part) => [part.name, part]));
    const work = new FinishedWork({ places, run, note });
    await Promise.all(entries.map((entry) => work.#restore(entry)));
    return work;
  }

  get redone(): number {
    return this.#redone;
  }

  /** How many layers are finished. */
  get layers(): number {
    return this.#layers.size;
  }

  /** How many tensors are. */
  get tensors(): number {
    return this.#hashes.size;
  }

  /** Elements of the source that are in finished tensors, and bytes of these. */
  sizes({ stages, copies }: CheckpointPlan): { elements: number; bytes: number } {
    const layers = stages.flatMap(({ groups }) => groups.flatMap((group) => group.layers));
    const weights = [
      ...layers
        .filter((planned) => this.hasLayer(planned))
        .flatMap((planned) => [planned.weights, ...(planned.bias ? [planned.bias.weights] : [])]),
      ...copies.filter((copy) => this.hasCopy(copy)).map((copy) => copy.weights),
    ];
    return {
      elements: weights.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
      bytes: [...this.#hashes.keys()].reduce((sum, name) => sum + this.#places.get(name)!.bytes, 0),
    };
  }

  hasLayer({ linear }: Pick<PlannedLinear, "linear">): boolean {
    return this.#layers.has(linear.module);
  }

  hasCopy({ name }: Pick<PlannedCopy, "name">): boolean {
    return this.#hashes.has(name);
  }

  /** The layer is written, with everything that belongs to it. */
  async layerDone(
    planned: Pick<PlannedLinear, "linear" | "targets" | "bias">,
    result: LayerResultFigures,
  ): Promise<void> {
    await this.#finish(writtenNames(planned), result);
  }

  async copyDone({ name }: Pick<PlannedCopy, "name">): Promise<void> {
    await this.#finish([name]);
  }

  /** Tensors are complete that somebody else has made and hashed. */
  async entryDone({ tensors, layer }: FinishedEntry): Promise<void> {
    const entry = { tensors, ...(layer && { layer }) };
    await this.#note?.(entry);
    this.#add(entry);
  }

  /** What became of all layers, in the order of the plan. */
  results({ stages }: Pick<CheckpointPlan, "stages">): LayerResultFigures[] {
    return stages.flatMap(({ groups }) =>
      groups.flatMap(({ layers }) => layers.map(({ linear }) => this.#layers.get(linear.module)!)),
    );
  }

  /** All tensors in the order of the files. Those that are made of several are hashed for this. */
  async written({ checkpoint }: Pick<CheckpointPlan, "checkpoint">): Promise<WrittenTensor[]> {
    const placed = checkpoint.shards.shards.flatMap(({ layout }, file) =>
      [...layout.tensors].map(([name, { info, offset, size }]) => ({ name, info, file, offset, size })),
    );
    return Promise.all(
      placed.map(async ({ name, info, file, offset, size: bytes }) => {
        const target = { file, offset };
        const sha256 = this.#hashes.get(name) ?? (await this.#hashOf({ name, target, bytes }));
        return { name, type: info.type, file, bytes, sha256 };
      }),
    );
  }

  async #finish(names: readonly string[], layer?: LayerResultFigures): Promise<void> {
    if (this.#note === undefined) return this.#add({ tensors: {}, ...(layer && { layer }) });
    const hashes = await Promise.all(names.map(async (name) => [name, await this.#hash(name)] as const));
    await this.entryDone({ tensors: Object.fromEntries(hashes), layer });
  }

  #add({ tensors, layer }: FinishedEntry): void {
    for (const [name, hash] of Object.entries(tensors)) this.#hashes.set(name, hash);
    if (layer !== undefined) this.#layers.set(layer.module, layer);
  }

  async #restore(noted: unknown): Promise<void> {
    const entry = finishedEntry(noted);
    if (entry === undefined) return;
    const same = Object.entries(entry.tensors).map(
      async ([name, hash]) => this.#places.has(name) && (await this.#hash(name)) === hash,
    );
    if ((await Promise.all(same)).every(Boolean)) this.#add(entry);
    else this.#redone += same.length;
  }

  #hash(name: string): Promise<string> {
    return this.#hashOf(this.#places.get(name)!);
  }

  #hashOf({ name, target, bytes: size }: PlacedPart): Promise<string> {
    return this.#run({ kind: "hash", tensor: name, target, size });
  }
}
