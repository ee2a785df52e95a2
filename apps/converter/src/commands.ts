import type { LazyCommand } from "./lazy-commands.ts";

/** Every command of the command line. */
export const COMMANDS: readonly LazyCommand[] = [
  {
    name: "convert",
    description:
      "Convert a Hugging Face checkpoint or a GGUF file to GGUF files, or to a quantized checkpoint.",
    load: async () => (await import("./commands/convert.ts")).defineConvert,
  },
  {
    name: "plan",
    description: "Show what quern convert would write and what it would need, without writing anything.",
    load: async () => (await import("./commands/plan.ts")).definePlan,
  },
  {
    name: "publish",
    description:
      "Quantize a model and publish the files on the Hub with a model card; resumes after a crash.",
    load: async () => (await import("./commands/publish.ts")).definePublish,
  },
  {
    name: "worker",
    description: "Convert tensors for other machines that run quern convert --queue.",
    load: async () => (await import("./commands/worker.ts")).defineWorker,
  },
  {
    name: "split",
    description: "Split a GGUF file into several, as llama-gguf-split does; also splits a split set again.",
    load: async () => (await import("./commands/split.ts")).defineSplit,
  },
  {
    name: "merge",
    description: "Join the files of a split set into one, as llama-gguf-split --merge does.",
    load: async () => (await import("./commands/merge.ts")).defineMerge,
  },
  {
    name: "edit",
    description: "Change the metadata of a GGUF file without touching its tensor data.",
    load: async () => (await import("./commands/edit.ts")).defineEdit,
  },
  {
    name: "quantize",
    description: "Quantize a GGUF file or a Hugging Face checkpoint, with the arguments of llama-quantize.",
    load: async () => (await import("./commands/quantize.ts")).defineQuantize,
  },
  {
    name: "eval",
    description:
      "Measure how well a model predicts texts and how far it diverges from another: what quantization cost.",
    load: async () => (await import("./commands/evaluate.ts")).defineEvaluate,
  },
  {
    name: "report",
    description: "Combine the figures of conversions and evaluations into one page.",
    load: async () => (await import("./commands/report.ts")).defineReport,
  },
  {
    name: "verify",
    description: "Check files against their manifest, and optionally against the source they were made from.",
    load: async () => (await import("./commands/verify.ts")).defineVerify,
  },
  {
    name: "inspect",
    description: "Show the metadata, tensors and types of a model without reading its weights.",
    load: async () => (await import("./commands/inspect.ts")).defineInspect,
  },
  {
    name: "calibrate",
    description:
      "Run a model on texts and collect statistics of the inputs of its linear layers, for better quantization.",
    load: async () => (await import("./commands/calibrate.ts")).defineCalibrate,
  },
  {
    name: "imatrix",
    description:
      "Compute an importance matrix (quern imatrix <model>) as llama-imatrix does, or show and merge existing ones.",
    load: async () => (await import("./commands/imatrix.ts")).defineImatrix,
  },
  {
    name: "recipes",
    description: "List the recipes that `quern convert --recipe` accepts, or print one.",
    load: async () => (await import("./commands/recipes.ts")).defineRecipes,
  },
  {
    name: "types",
    description: "List the types that `quern convert --type` accepts.",
    load: async () => (await import("./commands/types.ts")).defineTypes,
  },
  {
    name: "models",
    description: "List the model classes that can be converted (`architectures` in config.json).",
    load: async () => (await import("./commands/models.ts")).defineModels,
  },
  {
    name: "completions",
    description: "Print a completion script for your shell.",
    load: async () => (await import("./commands/completions.ts")).defineCompletions,
  },
  {
    name: "config",
    description: "Show the settings in effect here and where they come from.",
    load: async () => (await import("./commands/config.ts")).defineConfig,
  },
  {
    name: "doctor",
    description:
      "Check kernels, threads, memory, disk space, token and Hub, and say how to fix what is wrong.",
    load: async () => (await import("./commands/doctor.ts")).defineDoctor,
  },
];
