export type {
  KeptLayer,
  LayerDecision,
  LinearLayer,
  QuantizedLayer,
  ResolvedRecipe,
  StatisticsNeed,
} from "./resolved.ts";
