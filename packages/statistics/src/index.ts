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
export { statisticsAsImportance } from "./importance/statistics-view.ts";
export { writeImportance } from "./importance/write-importance.ts";
export type { WrittenImportance } from "./importance/write-importance.ts";
export { newShared } from "./input-source.ts";
export type {
  AllocateShared,
  InputRequest,
  InputSource,
  InputStatistics,
  KeptInputs,
} from "./input-source.ts";
export { checkStatisticsModel } from "./statistics-file/check-model.ts";
export type {
  JsonValue,
  KeptWindows,
  StatisticsCorpus,
  StatisticsCorpusPart,
  StatisticsDescription,
  StatisticsInput,
  StatisticsModel,
  StatisticsTensor,
} from "./statistics-file/description.ts";
export type { StatisticsEntry } from "./statistics-file/entries.ts";
export {
  addToHistogram,
  HISTOGRAM_BINS,
  lowerEdge as histogramEdge,
  percentile,
} from "./statistics-file/histogram.ts";
export { openStatistics, readStatistics } from "./statistics-file/open-statistics.ts";
export { mirrorLowerHalf, packedLength } from "./statistics-file/packed-triangle.ts";
export { planStatistics } from "./statistics-file/plan.ts";
export type { StatisticsPlan } from "./statistics-file/plan.ts";
export type { ChannelStatistics, HoldOutStatistics, Statistics } from "./statistics-file/statistics.ts";
export { findStatisticsProgress } from "./statistics-file/journal.ts";
export type { StatisticsProgress } from "./statistics-file/journal.ts";
export { createStatisticsWriter } from "./statistics-file/writer.ts";
export type { StatisticsValues, StatisticsWriter } from "./statistics-file/writer.ts";
export { statisticsInputs } from "./statistics-inputs.ts";
