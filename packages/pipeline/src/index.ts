export { convert, convertIter } from "./conversion/convert.ts";
export type { ConvertIterOptions, ConvertOptions } from "./conversion/convert.ts";
export type { ConversionDelegate } from "./conversion/delegate.ts";
export type { Delegate, PartConverter } from "./delegate.ts";
export { openTensorConverter } from "./conversion/tensor-converter.ts";
export type { FinishedPart, TensorConverter, TensorOutcome } from "./conversion/tensor-converter.ts";
export type { TensorPart } from "./conversion/tensor-places.ts";
export type { ConversionProfile } from "./conversion/profile.ts";
export type {
  ConversionDoneEvent,
  ConversionEvent,
  ConversionReport,
  ConversionResumedEvent,
  ConversionStoppedEvent,
  ConversionStartEvent,
  ConvertedFile,
  ConvertedOutput,
  ConvertedTensor,
  OutputDoneEvent,
  ProgressEvent,
  TensorDoneEvent,
  TensorStartEvent,
} from "./events.ts";
export { conversionIdentity, differingPart, IDENTITY_PARTS } from "./journal/identity.ts";
export type {
  ConversionIdentity,
  IdentityPart,
  MeasurementIdentity,
  OutputFileIdentity,
  OutputIdentity,
  RoundingIdentity,
} from "./journal/identity.ts";
export type { ImportanceIdentity } from "./journal/importance-identity.ts";
export { sourceIdentity } from "./journal/source-identity.ts";
export type { SourceFileIdentity, SourceIdentity } from "./journal/source-identity.ts";
export type { ErrorFigures, RoundingFigures, TensorError } from "./errors.ts";
export { relativeError } from "./errors.ts";
export type {
  ConversionPlan,
  ModelSource,
  PlannedFile,
  PlannedOutput,
  PlannedResources,
  PlannedTensor,
  PlanParams,
  ProvenanceRequest,
  RoundingRequest,
  TensorFallback,
} from "./plan.ts";
export { planConversion } from "./planning/plan-conversion.ts";
export { plannedGguf } from "./planning/planned-gguf.ts";
export type { Flavour, IntermediateType, OutputRequest, Recipe, TensorTypeRule } from "./recipe.ts";
export { listRecipes } from "./recipes.ts";
export type { BlockRounding, PlannedBlockMatrix } from "./layers/block-plan.ts";
