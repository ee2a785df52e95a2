export { kernelInfo, loadKernels } from "./node/load-kernels.ts";
export type {
  BackendReport,
  DequantizeParams,
  KernelBackend,
  KernelInfo,
  KernelSourceType,
  Kernels,
  LoadKernelsParams,
  QuantizeFault,
  QuantizeParams,
  WasmSource,
} from "./kernels.ts";
