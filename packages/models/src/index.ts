export { supportedClasses } from "./architectures/registry.ts";
export { LINEAR_ROLES } from "./architectures/module-role.ts";
export type { ModuleRole } from "./architectures/module-role.ts";
export { describeGguf } from "./describe-gguf.ts";
export type { GgufInput } from "./describe-gguf.ts";
export { describeModel } from "./describe-model.ts";
export { describeSource, isGguf } from "./describe-source.ts";
export type { DescribableSource } from "./describe-source.ts";
export { describeFoldings } from "./folding/describe-foldings.ts";
export { fitFactors } from "./folding/fit-factors.ts";
export { foldedScales } from "./folding/folded-scales.ts";
export type { ChosenFolding } from "./folding/folded-scales.ts";
export type { FoldedPart, Folding, FoldingReader, Foldings, OmittedFolding } from "./folding/folding.ts";
export { foldingError } from "./folding/folding-error.ts";
export { parentErrors } from "./folding/parent-error.ts";
export type { ParentErrorsParams } from "./folding/parent-error.ts";
export { parentOf } from "./folding/parent.ts";
export type { FoldingParent, ParentInput } from "./folding/parent.ts";
export { foldExpression, foldTensor, joinChanges } from "./folding/weight-changes.ts";
export type { WeightChanges } from "./folding/weight-changes.ts";
export { describeRotations } from "./folding/rotations/describe-rotations.ts";
export type {
  FusedNorm,
  HeadRotation,
  ModelRotations,
  ResidualRotation,
  RotatedPart,
} from "./folding/rotations/model-rotations.ts";
export { inputChanges } from "./folding/rotations/input-changes.ts";
export type { InputChange } from "./folding/rotations/input-changes.ts";
export { rotationChanges, untiedOutput } from "./folding/rotations/rotation-changes.ts";
export type { RotationChanges } from "./folding/rotations/rotation-changes.ts";
export { tieFactors } from "./folding/tied-factors.ts";
export {
  blockActivations,
  embeddingActivations,
  outputActivations,
} from "./forward/evaluate/activation-size.ts";
export { embedTokens } from "./forward/evaluate/embed-tokens.ts";
export { evaluateBlock } from "./forward/evaluate/evaluate-block.ts";
export type { Evaluation, LinearInput } from "./forward/evaluate/evaluation.ts";
export { normalizeOutput, outputLogits } from "./forward/evaluate/output-logits.ts";
export { Workspace } from "./forward/evaluate/workspace.ts";
export { forwardModel } from "./forward/forward-model.ts";
export type { BlockGraph, EmbeddingGraph, ForwardGraph, OutputGraph } from "./forward/graph.ts";
export type { InputQuantization } from "./forward/input-quantization.ts";
export type { ElementwiseFunction, ForwardKernels, ForwardMath } from "./forward/kernels.ts";
export { loadParameterRows, loadParameters } from "./forward/load-parameters.ts";
export type { Parameter, ParameterSet } from "./forward/parameters.ts";
export { linearInputs, outputInputs } from "./forward/plan/linear-inputs.ts";
export type { LinearInputs } from "./forward/plan/linear-inputs.ts";
export { planForward } from "./forward/plan/plan-forward.ts";
export type { ForwardModel } from "./forward/plan/plan-forward.ts";
export {
  evaluateRows,
  expressionMemory,
  expressionSources,
  expressionType,
  keepsRows,
} from "./expressions/index.ts";
export type { ExpressionType, OpenExpression, TensorExpression, TensorReader } from "./expressions/index.ts";
export { source } from "./expressions/operations/source.ts";
export { transpose } from "./expressions/operations/transpose.ts";
export { replaceTensors, weightNames } from "./expressions/tensor-nodes.ts";
export type {
  CheckpointFiles,
  ModelDescription,
  ModelInput,
  ModelModule,
  ModelTensor,
  StoragePolicy,
  StoredInputQuantization,
} from "./model.ts";
export { parseModelCard } from "./metadata/model-card.ts";
export { plainTensors } from "./plain-tensors.ts";
export type { PlainTensor } from "./plain-tensors.ts";
export { hasMergedExperts, separateExperts } from "./separate-experts.ts";
export type { PlainModel } from "./separate-experts.ts";
export { describeVocabulary } from "./vocabulary/describe-vocabulary.ts";
export type { VocabularyInput } from "./vocabulary/describe-vocabulary.ts";
export type { TokenizerKind } from "./vocabulary/tokenizers/registry.ts";
export type { VocabularyHints } from "./vocabulary/vocabulary-hints.ts";
