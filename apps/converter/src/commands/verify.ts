import type { Manifest } from "@quern/manifest";
import { readManifest } from "@quern/manifest/node";
import {
  type FileVerification,
  rederive,
  type Rederivation,
  verifyFiles,
} from "@quern/pipeline/verification";
import { QuernError } from "@quern/tensor";
import type { Command } from "commander";
import { formatVerification } from "../format/verification.ts";
import { HUB_VARIABLES, KERNEL_VARIABLES } from "../help/environment.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInBytes, measuredInTensors } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { countArgument, positiveArgument } from "./arguments.ts";
import { addHubOptions, type HubOptions, keepModel } from "./hub-options.ts";
import { openNamedModel } from "./open-named.ts";
import { type MessageOptions, reporterName, runReported } from "./run-reported.ts";
import { addMessageOptions, addResourceOptions, type ResourceOptions } from "./shared-options.ts";
import { openCalibration } from "./verify-calibration.ts";
import { manifestOfFile, verifyTarget } from "./verify-target.ts";

/** Tensors that are made again unless more are asked for. */
const DEFAULT_SAMPLE = 8;

interface VerifyOptions extends ResourceOptions, HubOptions, MessageOptions {
  readonly manifest?: string;
  /** True where the manifest names it. */
  readonly source?: string | true;
  readonly sample?: number;
  readonly all?: true;
  readonly seed?: number;
  readonly statistics?: string;
  readonly imatrix?: string;
}

export function defineVerify(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "A manifest records what files were made from and how, and the hashes of files and tensors. It lies beside GGUF files written with --manifest, and in every folder of a quantized checkpoint.",
      "All bytes are checked against the hashes of the manifest. With --source, headers and a sample of tensors (or --all) are also made again from the original weights and compared byte by byte; nothing is written. What was quantized with a calibration file needs that file again.",
    ],
    examples: [
      {
        does: "A file with a manifest",
        run: "quern convert model -t Q4_K_M -o model-Q4_K_M.gguf --manifest",
      },
      { does: "Is it unchanged?", run: "quern verify model-Q4_K_M.gguf" },
      {
        does: "Does the checkpoint really become this file?",
        run: "quern verify model-Q4_K_M.gguf --source model --all",
      },
      {
        does: "Check a few tensors against the Hub repository that the manifest names",
        run: "quern convert hf:org/model -t Q8_0 -o hub.gguf --manifest && quern verify hub.gguf --source --sample 4",
      },
      {
        does: "A folder that was quantized with statistics",
        run: "quern convert model --to gptq --statistics statistics.safetensors -o gptq && quern verify gptq --source model --statistics statistics.safetensors",
      },
    ],
    environment: [...HUB_VARIABLES, ...KERNEL_VARIABLES],
    exitCodes: {
      0: "files are what their manifest says, and sampled tensors what their source gives",
      5: "they are not",
    },
    seeAlso: ["convert", "quantize", "inspect"],
  });
  command
    .argument(
      "<path>",
      "GGUF file with a manifest (any one of a split set), a manifest, or folder of a checkpoint",
    )
    .option("--manifest <file>", "manifest (default: the one beside the file, or in the folder)")
    .optionsGroup("Source:")
    .option(
      "--source [model]",
      "make tensors again from this folder, GGUF file or repository (default: the Hub repository that the manifest names), and compare them byte by byte",
    )
    .option(
      "--sample <count>",
      `how many tensors to make again, spread over types and sizes (default: ${DEFAULT_SAMPLE})`,
      positiveArgument,
    )
    .option("--all", "make all tensors again")
    .option("--seed <number>", "seed for the choice of tensors (default: 0)", countArgument)
    .option("--imatrix <file>", "the importance matrix that was used")
    .option("--statistics <file>", "the statistics that were used");
  addResourceOptions(command);
  addHubOptions(command);
  addMessageOptions(command).action((path: string, options: VerifyOptions) =>
    runVerify({ path, options, host }),
  );
}

async function runVerify(params: {
  readonly path: string;
  readonly options: VerifyOptions;
  readonly host: Host;
}): Promise<void> {
  const { path, options, host } = params;
  checkOptions(options);
  const target = verifyTarget({ path, manifest: options.manifest, cwd: host.cwd });
  const manifest = manifestOfFile(await readManifest(target.manifest), target.file);
  const reporter = reporterName(options);
  const interrupted = "nothing has been changed";
  const files = await runReported({
    host,
    reporter,
    activity: "verifying",
    measure: measuredInBytes(manifest.files.reduce((sum, { bytes }) => sum + bytes, 0)),
    interrupted,
    run: (runOptions) => verifyFiles({ manifest, folder: target.folder, ...runOptions }),
  });
  const source =
    options.source === undefined
      ? undefined
      : await verifySource({ manifest, folder: target.folder, named: options.source, options, host });
  const findings = [...files.findings, ...(source?.findings ?? [])];
  if (options.json) {
    const { findings: _files, ...counts } = files;
    const { findings: _source, ...again } = source ?? {};
    writeJsonLine(host.stdout, {
      type: "result",
      equal: findings.length === 0,
      findings,
      ...counts,
      ...(source && { source: again }),
    });
  } else {
    host.stdout.write(verificationText({ manifest, files, source, host }));
  }
  if (findings.length === 0) return;
  const count = findings.length === 1 ? "1 difference" : `${findings.length} differences`;
  throw new QuernError("VERIFICATION_FAILED", `${path}: ${count} from what its manifest says`, {
    subject: { file: path },
  });
}

/** @throws QuernError `USAGE_VERIFY` */
function checkOptions({ source, sample, all, seed, imatrix, statistics }: VerifyOptions): void {
  if (sample !== undefined && all !== undefined) {
    throw new QuernError(
      "USAGE_VERIFY",
      "--sample makes some tensors again and --all all: expected one of them.",
    );
  }
  if (source !== undefined) return;
  const given = Object.entries({
    "--sample": sample,
    "--all": all,
    "--seed": seed,
    "--imatrix": imatrix,
    "--statistics": statistics,
  });
  const stray = given.find(([, value]) => value !== undefined);
  if (stray === undefined) return;
  throw new QuernError(
    "USAGE_VERIFY",
    `${stray[0]} is for tensors that are made again: expected --source, too.`,
  );
}

async function verifySource(params: {
  readonly manifest: Manifest;
  readonly folder: string;
  readonly named: string | true;
  readonly options: VerifyOptions;
  readonly host: Host;
}): Promise<Rederivation> {
  const { manifest, folder, named, options, host } = params;
  if (named === true && manifest.source.repository === undefined) {
    throw new QuernError(
      "USAGE_VERIFY",
      `The manifest names "${manifest.source.name}" as the source, and not where it is: expected --source with a folder or a file.`,
    );
  }
  const source = await openNamedModel(named === true ? manifest.source.name : named, host, options);
  // A few tensors are less than a download.
  if (options.all) await keepModel({ source, options, host });
  const calibration = await openCalibration({ manifest, options, cwd: host.cwd });
  const { threads, memory, kernels, sample, seed } = options;
  try {
    return await runReported({
      host,
      reporter: reporterName(options),
      activity: "making again",
      measure: measuredInTensors(
        Math.min(options.all ? Infinity : (sample ?? DEFAULT_SAMPLE), manifest.tensors.length),
      ),
      interrupted: "nothing has been changed",
      run: (runOptions) =>
        rederive({
          manifest,
          folder,
          source,
          ...calibration.known,
          sample: options.all ? "all" : (sample ?? DEFAULT_SAMPLE),
          ...(seed === undefined ? {} : { seed }),
          ...(threads === undefined ? {} : { threads }),
          ...(memory === undefined ? {} : { memory }),
          ...(kernels === undefined ? {} : { backend: kernels }),
          ...runOptions,
        }),
    });
  } finally {
    await calibration.close();
  }
}

function verificationText(params: {
  readonly manifest: Manifest;
  readonly files: FileVerification;
  readonly source: Rederivation | undefined;
  readonly host: Host;
}): string {
  const { host, source, ...rest } = params;
  return formatVerification({ ...rest, ...(source && { source }), style: styleFor(host.stdout, host.env) });
}
