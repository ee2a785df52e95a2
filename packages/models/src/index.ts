export { supportedClasses } from "./architectures/registry.ts";
export type { ModuleRole } from "./architectures/module-role.ts";
export { describeGguf } from "./describe-gguf.ts";
export type { GgufInput } from "./describe-gguf.ts";
export { describeModel } from "./describe-model.ts";
export { evaluateRows, expressionSources, expressionType } from "./expressions/evaluate.ts";
export type { ExpressionType, TensorExpression, TensorReader } from "./expressions/expression.ts";
export type {
  CheckpointFiles,
  ModelDescription,
  ModelInput,
  ModelModule,
  ModelTensor,
  StoragePolicy,
} from "./model.ts";
export { describeVocabulary } from "./vocabulary/describe-vocabulary.ts";
export type { VocabularyInput } from "./vocabulary/describe-vocabulary.ts";
export type { TokenizerKind } from "./vocabulary/tokenizers/registry.ts";
export type { VocabularyHints } from "./vocabulary/vocabulary-hints.ts";
