export { kernelInfo, loadKernels } from "./node/load-kernels.ts";
export type {
  BackendReport,
  DequantizeParams,
  KernelBackend,
  KernelInfo,
  KernelSourceType,
  Kernels,
  LoadKernelsParams,
  MeasureErrorParams,
  QuantizeFault,
  QuantizeParams,
  RowErrors,
  WasmSource,
} from "./kernels.ts";
