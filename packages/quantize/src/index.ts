export type { QuantizedMatrix } from "./quantized-matrix.ts";
