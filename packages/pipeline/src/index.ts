export { convert, convertIter } from "./conversion/convert.ts";
export type { ConvertIterOptions, ConvertOptions } from "./conversion/convert.ts";
export type { ConversionProfile } from "./conversion/profile.ts";
export type {
  ConversionDoneEvent,
  ConversionEvent,
  ConversionReport,
  ConversionStartEvent,
  ConvertedFile,
  ConvertedOutput,
  OutputDoneEvent,
  ProgressEvent,
  Requantization,
  RequantizedTensor,
  TensorDoneEvent,
  TensorStartEvent,
} from "./events.ts";
export { checkImportance, examineImportance } from "./importance/examine-importance.ts";
export type { ImportanceExamination } from "./importance/examine-importance.ts";
export type { Importance } from "./importance/importance.ts";
export type { ImportanceEntry, ImportanceFile, ImportanceFormat } from "./importance/importance-file.ts";
export { importanceStatistics, layerStatistics } from "./importance/importance-statistics.ts";
export type { ImportanceStatistics, LayerStatistics } from "./importance/importance-statistics.ts";
export { mergeImportance } from "./importance/merge-importance.ts";
export type { MergedImportance } from "./importance/merge-importance.ts";
export { openImportanceFile } from "./importance/open-importance-file.ts";
export { readImportance } from "./importance/read-importance.ts";
export { selectImportance } from "./importance/select-importance.ts";
export { writeImportance } from "./importance/write-importance.ts";
export type { WrittenImportance } from "./importance/write-importance.ts";
export type {
  ConversionPlan,
  ModelSource,
  PlannedFile,
  PlannedOutput,
  PlannedResources,
  PlannedTensor,
  PlanParams,
  TensorFallback,
} from "./plan.ts";
export { planConversion } from "./planning/plan-conversion.ts";
export type { Flavour, IntermediateType, OutputRequest, Recipe, TensorTypeRule } from "./recipe.ts";
export { listRecipes } from "./recipes.ts";
