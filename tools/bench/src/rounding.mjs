// What roundings do to the outputs of a model's linear layers, on inputs that calibration has not seen; and what GPTQ costs:
//   node tools/bench/src/rounding.mjs --model <folder> --text <file> [--tokens 16384] [--held-out 4096] [--layers 'attn_q|ffn_down'] [--methods GPTQ]
//   node tools/bench/src/rounding.mjs --sizes 2048,4096
// Needs the packages built. Errors are |X (W - V)^T|^2 / |X W^T|^2, the mean over all layers. One thread is timed by processor time.
import { parseArgs } from "node:util";
import { openModel } from "@quern/checkpoints/node";
import { checkpointTokenizer, collectWindows, parseWeightedFile } from "@quern/corpus";
import { openTextFiles } from "@quern/corpus/node";
import { openParameters, openRunnable } from "@quern/inference";
import { loadKernels } from "@quern/kernels";
import { embedTokens, evaluateBlock } from "@quern/models";
import {
  awq,
  chooseFactors,
  coordinateDescent,
  gptq,
  hqq,
  meanSquaredError,
  nearest,
  nf4,
  nvfp4,
  outputErrorOn,
  roundMatrix,
  scaleColumns,
  scaleHessian,
  uniform,
} from "@quern/quantize";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    text: { type: "string" },
    tokens: { type: "string", default: "16384" },
    "held-out": { type: "string", default: "4096" },
    layers: { type: "string", default: "." },
    methods: { type: "string", default: "." },
    sizes: { type: "string" },
  },
});

const WINDOW = 512;
const mse = meanSquaredError({ steps: 40, mostShrink: 0.6, norm: 2 });

const GRIDS = {
  "4 bits, g128": affine(4, 128),
  "3 bits, g128": affine(3, 128),
  "3 bits, g64": affine(3, 64),
  "2 bits, g64": affine(2, 64),
  "2 bits, g32": affine(2, 32),
  NF4: nf4(),
  NVFP4: nvfp4(),
};

const METHODS = {
  RTN: (task) => roundMatrix({ ...task, hessian: undefined, rounding: nearest() }).values,
  "RTN, weighted MSE": (task) => roundMatrix({ ...task, rounding: nearest(), calibrator: mse }).values,
  HQQ: (task) => {
    const { name, bits } = task.grid;
    if (name !== "uniform") return undefined;
    const grid = affine(bits, task.width, "real");
    return roundMatrix({ ...task, hessian: undefined, grid, rounding: hqq() }).values;
  },
  AWQ: (task) => scaled(task, (inner) => roundMatrix({ ...inner, rounding: nearest() }).values),
  CD: (task) => roundMatrix({ ...task, rounding: coordinateDescent() }).values,
  GPTQ: (task) => roundMatrix({ ...task, rounding: gptq() }).values,
  "GPTQ, tiles as entered": (task) => roundMatrix({ ...task, rounding: gptq({ tiles: "dynamic" }) }).values,
  "GPTQ, descending": (task) => roundMatrix({ ...task, rounding: gptq({ order: "descending" }) }).values,
  "GPTQ, weighted MSE": (task) => roundMatrix({ ...task, rounding: gptq(), calibrator: mse }).values,
  "GPTQ, MSE, 2 CD": (task) =>
    roundMatrix({ ...task, rounding: gptq({ passes: 2 }), calibrator: mse }).values,
  "GPTQ, MSE, 2 CD, refit": (task) =>
    roundMatrix({ ...task, rounding: gptq({ passes: 2, refitScales: true }), calibrator: mse }).values,
  "GPTQ, descending, MSE, 2 CD, refit": (task) =>
    roundMatrix({
      ...task,
      rounding: gptq({ order: "descending", passes: 2, refitScales: true }),
      calibrator: mse,
    }).values,
  "RTN, searched in H": (task) =>
    roundMatrix({ ...task, rounding: nearest(), calibrator: mse, searchInHessian: true }).values,
  "GPTQ, descending, searched in H, 2 CD, refit": (task) =>
    roundMatrix({
      ...task,
      rounding: gptq({ order: "descending", passes: 2, refitScales: true }),
      calibrator: mse,
      searchInHessian: true,
    }).values,
  "AWQ, GPTQ, MSE, 2 CD, refit": (task) =>
    scaled(
      task,
      (inner) =>
        roundMatrix({ ...inner, rounding: gptq({ passes: 2, refitScales: true }), calibrator: mse }).values,
    ),
};

function affine(bits, columns, zero = "integer") {
  return uniform({ bits, symmetric: false, zero, tile: { columns } });
}

/** Rounds weights that are multiplied by AWQ's factors, and divides the result by them. */
function scaled(task, round) {
  const { matrix } = task;
  const { factors } = chooseFactors({ ...task, layers: [matrix], transform: awq() });
  const values = round({
    ...task,
    matrix: scaleColumns(matrix, factors),
    hessian: scaleHessian(task.hessian, factors),
  });
  return values.map((value, i) => value / factors[i % matrix.columns]);
}

const kernels = await loadKernels();
if (options.sizes === undefined) await compareOnModel();
else for (const size of options.sizes.split(",").map(Number)) measureSpeed(size);

async function compareOnModel() {
  const { layers } = await collectLayers();
  console.log(`${layers.length} layers; ${kernels.info.isa}`);
  const names = Object.keys(GRIDS);
  console.log(`| | ${names.join(" | ")} |\n| --- |${names.map(() => " ---: |").join("")}`);
  for (const [method, round] of Object.entries(METHODS)) {
    if (!new RegExp(options.methods).test(method)) continue;
    const cells = Object.entries(GRIDS).map(([name, grid]) => {
      const width = Number(/g(\d+)/.exec(name)?.[1] ?? 0);
      const errors = layers.map((layer) => {
        const values = round({ ...layer, grid, width, math: kernels.math });
        return values && outputErrorOn({ ...layer, values, math: kernels.math }).relative;
      });
      if (errors.includes(undefined)) return "";
      return (errors.reduce((sum, error) => sum + error, 0) / errors.length).toExponential(3);
    });
    console.log(`| ${method} | ${cells.join(" | ")} |`);
  }
}

/** Every linear layer of the blocks with its weights, Hessian, mean magnitudes and rows of inputs held out. */
async function collectLayers() {
  const source = await openModel(options.model);
  const model = await openRunnable(source);
  const texts = await openTextFiles({ files: [parseWeightedFile(options.text)] });
  const wanted = Number(options.tokens);
  const limit = Math.ceil((wanted + Number(options["held-out"])) / WINDOW);
  const { windows } = await collectWindows({
    sources: texts.sources,
    tokenizer: await checkpointTokenizer(source.files),
    rule: { kind: "stream", length: WINDOW },
    vocabularySize: model.vocabularySize,
    limit,
  });
  await texts.close();
  const reader = openParameters(model);
  const { embedding, blocks } = model.graph;
  const parameters = await reader.load([...embedding.tensors, ...blocks.flatMap(({ tensors }) => tensors)]);
  await reader.close();
  const groups = new Map(
    model.inputs.flat().map(({ name, modules, columns }) => [
      name,
      {
        modules,
        columns,
        matrix: new Float64Array(columns ** 2),
        sums: new Float64Array(columns),
        tokens: 0,
        heldOut: [],
      },
    ]),
  );
  let seen = 0;
  for (const { tokens } of windows) {
    const calibrates = seen < wanted;
    seen += tokens.length;
    const observe = ({ module, input, rows }) => {
      const group = groups.get(module);
      if (group === undefined) return;
      if (!calibrates) group.heldOut.push(input.slice());
      else {
        kernels.math.syrk({ x: input, tokens: rows, n: group.columns, h: group.matrix });
        input.forEach((value, i) => (group.sums[i % group.columns] += Math.abs(value)));
        group.tokens += rows;
      }
    };
    const evaluation = { kernels, parameters, observe };
    let hidden = embedTokens({ graph: embedding, evaluation, tokens, starts: [0] });
    for (const graph of blocks) {
      hidden = evaluateBlock({ graph, evaluation, hidden, tokens: tokens.length, starts: [0] });
    }
  }
  console.log(`${Math.min(seen, wanted)} tokens for calibration, ${seen - wanted} held out`);
  const layers = [];
  for (const group of groups.values()) {
    const { columns, matrix, sums, tokens } = group;
    kernels.math.mirror({ matrix, n: columns });
    const inputs = Float32Array.from(group.heldOut.flatMap((part) => [...part]));
    const meanMagnitudes = Float32Array.from(sums, (sum) => sum / tokens);
    for (const module of group.modules.filter((name) => new RegExp(options.layers).test(name))) {
      const { type, shape, data } = parameters.get(`${module}.weight`);
      const values = new Float32Array(shape[0] * shape[1]);
      kernels.dequantize({ type, rows: shape[0], columns: shape[1], source: data, target: values });
      layers.push({
        matrix: { rows: shape[0], columns, values },
        hessian: { matrix, tokens },
        meanMagnitudes,
        inputs,
      });
    }
  }
  return { layers };
}

function measureSpeed(n) {
  const values = Float32Array.from({ length: n * n }, () => gaussian());
  const x = Float32Array.from({ length: 1024 * n }, () => gaussian());
  const matrix = new Float64Array(n * n);
  kernels.math.syrk({ x, tokens: 1024, n, h: matrix });
  kernels.math.mirror({ matrix, n });
  const grid = affine(4, 128);
  const task = {
    matrix: { rows: n, columns: n, values },
    grid,
    hessian: { matrix, tokens: 1024 },
    math: kernels.math,
  };
  const runs = {
    RTN: [{ rounding: nearest() }, 0],
    // A product with the triangle of factors, and a Cholesky factorization.
    GPTQ: [{ rounding: gptq() }, n ** 3 + n ** 3 / 3],
    "GPTQ, 1 CD": [{ rounding: gptq({ passes: 1 }) }, 3 * n ** 3 + n ** 3 / 3],
    "GPTQ, 2 CD, refit": [{ rounding: gptq({ passes: 2, refitScales: true }) }, 5 * n ** 3 + n ** 3 / 3],
    "RTN, MSE": [{ rounding: nearest(), calibrator: mse }, 0],
    "RTN, MSE in H": [{ rounding: nearest(), calibrator: mse, searchInHessian: true }, 0],
  };
  for (const [name, [choice, operations]] of Object.entries(runs)) {
    const before = process.cpuUsage();
    roundMatrix({ ...task, ...choice });
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    const rate = operations === 0 ? "" : `, ${(operations / seconds / 1e9).toFixed(1)} GFLOP/s`;
    const memory = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
    console.log(`${n} x ${n}, ${name}: ${seconds.toFixed(2)} s${rate}, ${memory} MiB`);
  }
}

function gaussian() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
