import { ggufArray, ggufString, ggufUint32 } from "@quern/gguf";
import type { GgufMetadata } from "@quern/gguf";
import { QuernError } from "@quern/tensor";
import { readJsonObject } from "../json-file.ts";
import type { JsonObject } from "../json-file.ts";
import type { CheckpointFiles } from "../model.ts";
import { readModelCard } from "./model-card.ts";
import { modelNameParts, titleOf } from "./model-name.ts";
import { SOURCE_FIELDS, readSources } from "./provenance.ts";
import type { Source } from "./provenance.ts";
import { samplingMetadata } from "./sampling.ts";
import { sizeLabel } from "./size-label.ts";
import type { ParameterCounts } from "./size-label.ts";

/** What the general metadata is made from. */
export interface GeneralMetadataInput {
  readonly files: CheckpointFiles;
  /** config.json as it stands in the checkpoint. */
  readonly config: JsonObject;
  readonly parameters: ParameterCounts;
  /** Called with the error of a model card or generation_config.json that cannot be used; the conversion goes on without it. */
  readonly onWarning?: (warning: QuernError) => void;
}

/**
 * Fields of a card, in the order of the GGUF keys: the keys of a card that are tried, plainest first (gguf-py metadata.py
 * `apply_metadata_heuristic`).
 */
const CARD_FIELDS = [
  { field: "name", cardKeys: ["name", "model_name"] },
  { field: "author", cardKeys: ["author", "model_author", "model_creator"] },
  { field: "version", cardKeys: ["version", "model_version"] },
  { field: "organization", cardKeys: ["organization", "model_organization"] },
  { field: "finetune", cardKeys: ["finetune", "model_finetune"] },
  { field: "basename", cardKeys: ["basename", "model_basename", "model_type"] },
  { field: "description", cardKeys: ["description", "model_description"] },
  { field: "size_label", cardKeys: ["size_label", "model_size_label"] },
  { field: "license", cardKeys: ["license"] },
  { field: "license.name", cardKeys: ["license_name"] },
  { field: "license.link", cardKeys: ["license_link"] },
  { field: "source.url", cardKeys: ["url", "model_url"] },
  { field: "source.doi", cardKeys: ["doi", "model_doi"] },
  { field: "source.uuid", cardKeys: ["uuid", "model_uuid"] },
  { field: "source.repo_url", cardKeys: ["repo_url", "model_repo_url"] },
] as const;

type Field = (typeof CARD_FIELDS)[number]["field"];

/**
 * `general.type`, `general.sampling.*`, `general.name` and all else that is known about where a model comes from, in the order of
 * llama.cpp's converter (gguf-py metadata.py `set_gguf_meta_model`): from the model card first, then from the name in config.json,
 * then from the name of the folder or repository. `general.architecture`, `general.file_type` and `general.quantization_version`
 * are not among them.
 *
 * @throws QuernError `CHECKPOINT_FILE_TOO_LARGE`
 */
export async function generalMetadata(input: GeneralMetadataInput): Promise<GgufMetadata> {
  const { files, config, parameters } = input;
  const generationConfig = await tolerated(readJsonObject(files, "generation_config.json"), input);
  const card = (await tolerated(readModelCard(files), input)) ?? {};

  const metadata: GgufMetadata = new Map([["general.type", ggufString("model")]]);
  for (const [key, value] of samplingMetadata(generationConfig ?? {})) metadata.set(key, value);
  const fields = fieldsOf({ card, config, files, parameters });
  for (const { field } of CARD_FIELDS) {
    setString(metadata, `general.${field}`, fields.get(field));
  }
  const baseModels = readSources(card, ["base_model", "base_models", "base_model_sources"], parameters.total);
  const datasets = readSources(card, ["datasets", "dataset", "dataset_sources"], parameters.total);
  setSources(metadata, "general.base_model", baseModels);
  setSources(metadata, "general.dataset", datasets);
  setStrings(metadata, "general.tags", [card["tags"], card["pipeline_tag"]]);
  setStrings(metadata, "general.languages", [card["languages"], card["language"]]);
  return metadata;
}

function fieldsOf(params: {
  card: JsonObject;
  config: JsonObject;
  files: CheckpointFiles;
  parameters: ParameterCounts;
}): Map<Field, unknown> {
  const { card, config, files, parameters } = params;
  const fields = new Map<Field, unknown>();
  const settle = (field: Field, value: unknown): void => {
    if (value !== undefined && value !== null && !fields.has(field)) fields.set(field, value);
  };
  for (const { field, cardKeys } of CARD_FIELDS) {
    for (const key of cardKeys) settle(field, card[key]);
  }
  const path = config["_name_or_path"];
  // With more than one slash it is a path on somebody's computer.
  const ids = typeof path === "string" && path.split("/").length <= 2 ? [path, files.name] : [files.name];
  for (const id of ids) {
    const parts = modelNameParts(id, parameters.total);
    settle("name", titleOf(parts.fullName));
    settle("organization", parts.organization === undefined ? undefined : titleOf(parts.organization));
    settle("basename", parts.baseName);
    settle("finetune", parts.finetune);
    settle("version", parts.version);
    settle("size_label", parts.sizeLabel);
  }
  if (parameters.total > 0) settle("size_label", sizeLabel(parameters));
  return fields;
}

async function tolerated<T>(
  reading: Promise<T>,
  { onWarning }: GeneralMetadataInput,
): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    onWarning?.(error);
    return undefined;
  }
}

/** Lists (of licences) are joined; what is neither text nor list, and what is empty, has no key. */
function setString(metadata: GgufMetadata, key: string, value: unknown): void {
  const text = Array.isArray(value) ? value.filter((item) => typeof item === "string").join(",") : value;
  if (typeof text === "string" && text !== "") metadata.set(key, ggufString(text));
}

function setStrings(metadata: GgufMetadata, key: string, values: readonly unknown[]): void {
  const strings = values.flat().filter((value) => typeof value === "string");
  if (strings.length > 0) metadata.set(key, ggufArray("string", strings));
}

function setSources(metadata: GgufMetadata, prefix: string, sources: readonly Source[] | undefined): void {
  if (sources === undefined) return;
  metadata.set(`${prefix}.count`, ggufUint32(sources.length));
  sources.forEach((source, index) => {
    for (const field of SOURCE_FIELDS) setString(metadata, `${prefix}.${index}.${field}`, source[field]);
  });
}
