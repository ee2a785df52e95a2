import { basename, join, resolve } from "node:path";
import type { GgufValue } from "@quern/gguf";
import { editGguf, type GgufFileEdit, planGgufFileEdit, restoreGgufHeader } from "@quern/gguf/node";
import { QuernError } from "@quern/tensor";
import type { Command } from "commander";
import { formatBytes } from "../format/bytes.ts";
import { formatCopyPlan } from "../format/copy.ts";
import { formatChanges } from "../format/edit.ts";
import { printable } from "../format/printable.ts";
import { addManual } from "../help/manual.ts";
import type { Host } from "../host.ts";
import { inspectValue } from "../inspection/gguf.ts";
import type { JsonValue } from "../inspection/inspection.ts";
import { writeJsonLine } from "../reporters/json.ts";
import { measuredInBytes } from "../reporters/measure.ts";
import { styleFor } from "../terminal.ts";
import { outputTarget } from "./output-target.ts";
import { copyRecord } from "./copy-messages.ts";
import { addEditOptions, type EditOptions, editRequest } from "./edit-options.ts";
import { reporterName, runReported } from "./run-reported.ts";
import { writeWarnings } from "./warnings.ts";

export function defineEdit(command: Command, host: Host): void {
  addManual(command, {
    description: [
      "With --in-place only the header is overwritten, however large the file is; if the new header does not fit, the file is replaced by a complete copy. Changes that usually break a model are refused without --force.",
    ],
    examples: [
      {
        does: "To a new file",
        run: 'quern edit model.gguf -o new.gguf --name "My model" --chat-template template.jinja',
      },
      {
        does: "In place",
        run: "quern edit model.gguf --in-place --set llama.context_length=uint32:8192 --remove general.size_label",
      },
      { does: "Show what would change", run: "quern edit model.gguf --in-place --license mit --dry-run" },
    ],
    seeAlso: ["inspect"],
  });
  addEditOptions(command.argument("<file>", "GGUF file, or any file of a split set")).action(
    async (file: string, options: EditOptions) => {
      const path = resolve(host.cwd, file);
      if (options.restore) {
        await restoreGgufHeader({ path });
        host.stdout.write(`${printable(path)}: the interrupted edit has been taken back.\n`);
      } else {
        await runEdit({ path, options, host });
      }
    },
  );
}

async function runEdit(params: {
  readonly path: string;
  readonly options: EditOptions;
  readonly host: Host;
}): Promise<void> {
  const { path, options, host } = params;
  const output = outputOf(params);
  const edit = await planGgufFileEdit({
    path,
    edit: await editRequest(options, host.cwd),
    ...(output === undefined ? {} : { output }),
    ...(options.reserve === undefined ? {} : { reserve: options.reserve }),
    allowBreaking: options.force === true,
    force: options.force === true,
  });
  if (!options.quiet && edit.method === "copy") {
    writeWarnings(edit.copy.warnings, host);
  }
  if (options.json) {
    writeJsonLine(host.stdout, editRecord(edit));
  }
  if (options.dryRun !== true) {
    if (output === undefined && edit.method === "copy" && !options.quiet && !options.json) {
      host.stderr.write(
        "The new header does not fit in front of the tensor data: a copy takes the place of the file (--reserve keeps room).\n",
      );
    }
    await runReported({
      host,
      reporter: reporterName(options),
      activity: "copying",
      measure: measuredInBytes(edit.method === "copy" ? edit.copy.bytes : 0),
      run: (runOptions) => editGguf(edit, runOptions),
    });
  }
  if (!options.json) {
    const style = styleFor(host.stdout, host.env);
    const changes = formatChanges({ changes: edit.changes, style });
    host.stdout.write(`${changes}${formatMethod(edit, host)}`);
  } else if (options.dryRun !== true) {
    writeJsonLine(host.stdout, { type: "result", method: edit.method });
  }
}

/** The file to write; undefined edits in place. */
function outputOf(params: {
  readonly path: string;
  readonly options: EditOptions;
  readonly host: Host;
}): string | undefined {
  const { path, options, host } = params;
  const { output, inPlace } = options;
  if ((output === undefined) === (inPlace === undefined)) {
    throw new QuernError("USAGE_OUTPUT", "Say where the result goes: either --output <path> or --in-place.");
  }
  if (output === undefined) {
    return undefined;
  }
  const target = outputTarget(output, host.cwd);
  return target.file ?? join(target.directory, basename(path));
}

function formatMethod(edit: GgufFileEdit, host: Host): string {
  switch (edit.method) {
    case "none":
      return "";
    case "copy":
      return `\n${formatCopyPlan({ plan: edit.copy, style: styleFor(host.stdout, host.env) })}`;
    default: {
      const { path, after } = edit.patch;
      return `\n${printable(path)}: the header of ${formatBytes(after.byteLength)} is overwritten in place.\n`;
    }
  }
}

/** Elements of an array that `--json` holds. */
const arrayElements = 64;

function editRecord(edit: GgufFileEdit): Record<string, unknown> {
  return {
    type: "plan",
    method: edit.method,
    changes: edit.changes.map(({ key, before, after }) => ({
      key,
      ...(before === undefined ? {} : { before: valueRecord(before) }),
      ...(after === undefined ? {} : { after: valueRecord(after) }),
    })),
    ...(edit.method === "copy" ? { copy: copyRecord(edit.copy) } : {}),
    ...(edit.method === "patch" ? { path: edit.patch.path } : {}),
  };
}

function valueRecord(value: GgufValue): Readonly<Record<string, JsonValue>> {
  const { type, length, value: decode } = inspectValue(value);
  return { type, ...(length === undefined ? {} : { length }), value: decode(arrayElements) };
}
