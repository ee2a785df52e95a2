import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { EvaluationReport } from "@quern/evaluation";
import type { EvaluationEstimate } from "@quern/publishing";
import { openRepository, readHubFile } from "@quern/hub";
import {
  HubServer,
  memoryContent,
  type StoredFile,
  storedFile,
  StoredRepository,
  UploadStore,
  writingRoutes,
} from "@quern/hub/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { exitCodes } from "../exit-codes.ts";
import { type CliRun, demoCheckpoint, repositoryPath, runCli, temporaryFolder } from "../testing/run-cli.ts";

const TOKEN = "hf_publisher";
const READER = "hf_reader";
const ID = "mill/demo-GGUF";
const texts = repositoryPath("fixtures/evaluation/text.txt");

let home: string;
let store: UploadStore;
let server: HubServer;

beforeEach(async () => {
  home = await temporaryFolder();
  store = await UploadStore.create();
  server = await HubServer.start({
    id: "org/quern-demo",
    folder: demoCheckpoint,
    routes: writingRoutes(store),
  });
  server.tokens.add(TOKEN).add(READER);
  store.writers.add(TOKEN);
});
afterEach(async () => {
  await server.stop();
  await store.remove();
});

/** Runs a command; the token must be nowhere in what it says or leaves behind. */
async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<CliRun> {
  const result = await runCli({
    argv,
    cwd: home,
    env: { HF_ENDPOINT: server.endpoint, HF_TOKEN: TOKEN, HF_HOME: home, ...env },
  });
  expect(`${result.stdout}${result.stderr}`).not.toContain(TOKEN);
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    expect((await readFile(join(entry.parentPath, entry.name))).includes(TOKEN)).toBe(false);
  }
  return result;
}

function publish(...more: string[]): Promise<CliRun> {
  return run(["publish", "hf:org/quern-demo", "--repo", ID, "--threads", "0", ...more]);
}

/** SHA-256 by path, of what the repository serves. */
function published(): Map<string, string> {
  const { files } = server.repositories.get(ID)!.head;
  return new Map(
    [...files].map(([path, { content }]) => [
      path,
      createHash("sha256").update(content.read(0, content.size)).digest("hex"),
    ]),
  );
}

function card(): string {
  const { content } = server.repositories.get(ID)!.head.files.get("README.md")!;
  return content.read(0, content.size).toString();
}

describe("quern publish", () => {
  it("streams from the Hub to the Hub what quern convert makes of the folder", async () => {
    const result = await publish("-t", "Q4_K_M,Q8_0", "--private");
    expect(result.stderr).not.toContain("error");
    expect(result.exitCode).toBe(exitCodes.ok);
    expect(server.repositories.get(ID)!.isPrivate).toBe(true);
    const plain = join(home, "plain");
    const types = ["-t", "Q4_K_M,Q8_0", "--threads", "0"];
    const argv = [
      "convert",
      "hf:org/quern-demo",
      ...types,
      "-o",
      `${plain}/`,
      "--manifest",
      "--report",
      "r.json",
    ];
    expect((await run(argv)).exitCode).toBe(0);
    const names = await readdir(plain);
    expect(names.map((name) => name.replace(/^.*-(Q\w+)\./, "$1."))).toEqual([
      "Q4_K_M.gguf",
      "Q4_K_M.gguf.manifest.json",
      "Q8_0.gguf",
      "Q8_0.gguf.manifest.json",
    ]);
    for (const name of names) {
      const hash = createHash("sha256")
        .update(await readFile(join(plain, name)))
        .digest("hex");
      expect(published().get(name)).toBe(hash);
      expect(result.stdout).toContain(hash);
    }
    expect(card()).toContain(`org/quern-demo/tree/${server.repository.head.id}`);
    expect(card()).toContain("quantized_by: mill");
    expect(card()).toMatch(/Q4_K_M \|.*\| [\d.]+ % \| what most people take/);
  });

  it("replaces nothing of the model that is quantized", async () => {
    const before = server.repository.head.id;
    for (const more of [
      ["-t", "Q8_0"],
      ["--to", "mlx"],
    ]) {
      const result = await run(["publish", "org/quern-demo", "--repo", "Org/Quern-Demo", ...more]);
      expect([result.exitCode, result.stderr]).toEqual([
        exitCodes.usage,
        expect.stringContaining("USAGE_REPOSITORY"),
      ]);
    }
    expect(server.repository.head.id).toBe(before);
  });

  it("publishes nothing in a repository that everybody sees, where a private one is asked for", async () => {
    server.repositories.set(ID, new StoredRepository(ID));
    const { id } = server.repositories.get(ID)!.commit({ files: new Map() });
    for (const more of [["--dry-run"], []]) {
      const { exitCode, stderr } = await publish("-t", "Q8_0", "--private", ...more);
      expect(exitCode).toBe(exitCodes.output);
      expect(stderr).toMatch(/PUBLISH_REPOSITORY_PUBLIC/);
    }
    expect(server.repositories.get(ID)!.head.id).toBe(id);
    server.repositories.get(ID)!.isPrivate = true;
    expect((await publish("-t", "Q8_0", "--private", "--dry-run")).exitCode).toBe(exitCodes.ok);
  });

  it("reads once what says what the model is, whatever is planned and evaluated", async () => {
    const types = ["-t", "Q4_K_M,Q8_0,Q6_K", "--one-by-one"];
    const result = await publish(...types, "--eval", texts, "--context", "64", "--windows", "2");
    expect(result.exitCode, result.stderr).toBe(exitCodes.ok);
    const reads = (pattern: RegExp, range: RegExp): number =>
      server.requests.filter(({ path, range: asked = "" }) => pattern.test(path) && range.test(asked)).length;
    expect(reads(/\/[0-9a-f]{64}$/, /^bytes=0-7$/)).toBe(1);
    expect(reads(/quern-demo.*\/tokenizer\.json$/, /^bytes=0-/)).toBe(1);
    expect(reads(/quern-demo.*\/generation_config\.json$/, /^bytes=0-/)).toBe(1);
  });

  it("publishes what can be downloaded and verified against the source", async () => {
    expect((await publish("-t", "Q4_K_M", "--delete-local")).exitCode).toBe(exitCodes.ok);
    const access = { endpoint: server.endpoint, token: TOKEN };
    const { files } = await openRepository({ reference: { id: ID }, access });
    const downloaded = [...files.values()].filter(({ path }) => path.includes(".gguf"));
    for (const location of downloaded) {
      await writeFile(join(home, location.path), await readHubFile({ location, access }));
    }
    const [gguf] = downloaded.map(({ path }) => path).filter((path) => path.endsWith(".gguf"));
    const verified = await run(["verify", gguf!, "--source", "hf:org/quern-demo"]);
    expect(verified.stderr).not.toContain("error:");
    expect(verified.exitCode).toBe(exitCodes.ok);
  });

  describe("with --restart", () => {
    const again = ["-t", "Q8_0"];
    const states = ({ stdout }: CliRun): unknown => {
      const plan = JSON.parse(stdout.split("\n")[0]!) as { items: { state: string }[] };
      return plan.items.map(({ state }) => state);
    };

    it("shows what a new beginning makes, changes nothing with --dry-run, and begins anew without", async () => {
      const first = await publish(...again);
      expect(first.exitCode, first.stderr).toBe(exitCodes.ok);
      const made = join(home, "demo-GGUF");
      const journal = join(made, "mill--demo-GGUF.publication.jsonl");
      const before = [await readdir(made), await readFile(journal, "utf8")];
      expect(states(await publish(...again, "--dry-run", "--json"))).toEqual(["published"]);
      const planned = await publish(...again, "--restart", "--dry-run", "--json");
      expect(states(planned)).toEqual(["planned"]);
      expect([await readdir(made), await readFile(journal, "utf8")]).toEqual(before);
      const anew = await publish(...again, "--restart", "--json");
      expect(anew.exitCode, anew.stderr).toBe(exitCodes.ok);
      expect(anew.stdout).toContain('"item:make"');
      expect(await readFile(journal, "utf8")).toContain('"given-up"');
    });

    it("throws away conversions that something else has begun", async () => {
      const made = join(home, "demo-GGUF");
      const planned = await publish(...again, "--dry-run", "--json");
      const { items } = JSON.parse(planned.stdout.split("\n")[0]!) as { items: { files: string[] }[] };
      const [file] = items[0]!.files;
      await mkdir(made);
      await writeFile(join(made, `${basename(file!)}.partial.journal`), '{"format":"other"}\n');
      const refused = await publish(...again);
      expect(refused.exitCode).toBe(exitCodes.output);
      expect(refused.stderr).toContain("RESUME_OTHER_RUN");
      const anew = await publish(...again, "--restart");
      expect(anew.exitCode, anew.stderr).toBe(exitCodes.ok);
    });
  });

  describe("with --eval", () => {
    const rule = ["--context", "64", "--windows", "2"];
    const measured = ["-t", "Q4_K_M", "--eval", texts, ...rule];
    const evaluations = ({ stdout }: CliRun): number => stdout.split('"item:evaluate"').length - 1;

    it("tells in the card what quern eval finds out", async () => {
      const result = await publish(...measured, "--json");
      expect(result.exitCode, result.stderr).toBe(exitCodes.ok);
      expect(evaluations(result)).toBe(1);
      const [name] = [...published().keys()].filter((path) => path.endsWith("Q4_K_M.gguf"));
      const file = join(home, "demo-GGUF", name!);
      const evaluated = await run([
        "eval",
        file,
        "--against",
        "hf:org/quern-demo",
        "--data",
        texts,
        ...rule,
        "--json",
      ]);
      const { total, corpus } = JSON.parse(evaluated.stdout.trim().split("\n").at(-1)!) as EvaluationReport;
      const { divergence, agreement } = total.comparison!;
      const figures = [
        divergence.mean.value.toPrecision(3),
        `${(100 * agreement.value).toPrecision(3)} %`,
        total.perplexity.value.toPrecision(5),
      ];
      expect(card()).toContain(` | ${figures.join(" | ")} | `);
      expect(card()).toMatch(new RegExp(`measured on ${corpus.tokens} tokens in windows of 64;`));
      // Figures are kept, as the files are.
      const commits = server.repositories.get(ID)!.commits.size;
      const again = await publish("-t", "Q4_K_M", "--json");
      expect(again.exitCode, again.stderr).toBe(exitCodes.ok);
      expect(evaluations(await publish(...measured, "--json"))).toBe(0);
      expect(server.repositories.get(ID)!.commits.size).toBe(commits);
      // Other texts, other figures.
      const other = await publish(
        "-t",
        "Q4_K_M",
        "--eval",
        texts,
        "--context",
        "32",
        "--windows",
        "2",
        "--json",
      );
      expect(evaluations(other)).toBe(1);
      expect(card()).toContain("in windows of 32;");
    });

    it("runs the model that files are made of once for all of them", async () => {
      const result = await publish("-t", "Q8_0,Q4_K_M,Q2_K", "--eval", texts, ...rule, "--json");
      expect(result.exitCode, result.stderr).toBe(exitCodes.ok);
      expect(evaluations(result)).toBe(3);
      const plan = JSON.parse(result.stdout.split("\n")[0]!) as {
        evaluation: EvaluationEstimate;
        passes: { networkBytes: number }[];
      };
      // Weights come over the network once for all files, and once to be compared with, but for the output layer.
      const [pass, ...others] = plan.passes.map(({ networkBytes }) => networkBytes);
      expect(others).toEqual([]);
      const read = server.requests.reduce((sum, { path, range }) => {
        if (!path.includes("safetensors")) return sum;
        const [first, last] = (/^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [0, 0, -1]).slice(1).map(Number);
        return sum + last! - first! + 1;
      }, 0);
      expect(read).toBeLessThan(1.02 * (pass! + plan.evaluation.networkBytes));
      expect(plan.evaluation.networkBytes).toBeLessThan(2 * pass!);
      expect(plan.evaluation.scratchBytes).toBe(2 * 64 * 256 * 4);
      expect((await readdir(join(home, "demo-GGUF"))).filter((name) => name.startsWith("."))).toEqual([]);
      const [name] = [...published().keys()].filter((path) => path.endsWith("Q2_K.gguf"));
      const { total } = await evaluate(join(home, "demo-GGUF", name!));
      const divergence = total.comparison!.divergence.mean.value.toPrecision(3);
      expect(card()).toMatch(new RegExp(`Q2_K \\| [^\\n]* \\| ${divergence} \\| `));
    });

    async function evaluate(path: string): Promise<EvaluationReport> {
      const argv = ["eval", path, "--against", "hf:org/quern-demo", "--data", texts, ...rule, "--json"];
      const { stdout } = await run(argv);
      return JSON.parse(stdout.trim().split("\n").at(-1)!) as EvaluationReport;
    }

    it.each([
      ["mlx", []],
      ["bnb", []],
      ["fp8", []],
      ["compressed-tensors", ["--recipe", "w8a8"]],
      ["compressed-tensors", ["--recipe", "nvfp4"]],
    ])("measures %s %j before it is uploaded", async (container, more) => {
      const options = ["--to", container, ...more, "--eval", texts, ...rule, "--json"];
      const result = await publish(...options);
      expect(result.exitCode, result.stderr).toBe(exitCodes.ok);
      expect(evaluations(result)).toBe(1);
      const lines = result.stdout.split("\n").map((line) => JSON.parse(line || "{}") as { type?: string });
      expect(lines.findIndex(({ type }) => type === "item:evaluated")).toBeLessThan(
        lines.findIndex(({ type }) => type === "item:upload"),
      );
      const [folder] = (await readdir(join(home, "demo-GGUF"))).filter((name) => !name.includes("."));
      const { total } = await evaluate(join(home, "demo-GGUF", folder!));
      const { divergence, referencePerplexity } = total.comparison!;
      expect(card()).toContain(
        `| Perplexity | ${referencePerplexity.value.toPrecision(5)} | ${total.perplexity.value.toPrecision(5)} |`,
      );
      expect(card()).toContain(`| KL divergence | \u2013 | ${divergence.mean.value.toPrecision(3)} |`);
      expect(card()).toMatch(/## Quality[^]*## How it was made[^]*## How to run it/);
      // Figures are kept, as the folder is.
      const { commits } = server.repositories.get(ID)!;
      const before = commits.size;
      expect(evaluations(await publish(...options, "--delete-local"))).toBe(0);
      expect(evaluations(await publish(...options))).toBe(0);
      expect(commits.size).toBe(before);
    });

    it("measures what is rounded by statistics", async () => {
      const statistics = ["--statistics", "s.safetensors"];
      const argv = ["calibrate", "hf:org/quern-demo", "--data", texts, "--tokens", "1024", "--threads", "0"];
      const calibrated = await run([...argv, "-o", "s.safetensors"]);
      expect(calibrated.exitCode, calibrated.stderr).toBe(exitCodes.ok);
      for (const container of ["gptq", "awq"]) {
        const repository = ["--repo", `mill/demo-${container}`, "--eval", texts, ...rule];
        const result = await publish("--to", container, ...statistics, ...repository);
        expect(result.exitCode, result.stderr).toBe(exitCodes.ok);
        const { content } = server.repositories.get(`mill/demo-${container}`)!.head.files.get("README.md")!;
        expect(content.read(0, content.size).toString()).toMatch(/\| KL divergence \| \u2013 \| 0\.\d+ \|/);
      }
    });

    it("refuses what cannot be run before it makes a checkpoint", async () => {
      const encoder = repositoryPath("fixtures/golden/bert/checkpoint");
      const argv = [
        "publish",
        encoder,
        "--repo",
        ID,
        "--to",
        "mlx",
        "--group-size",
        "32",
        "--eval",
        texts,
        ...rule,
      ];
      const result = await run(argv);
      expect(result.stderr).toContain("EVALUATION_NO_LOGITS");
      expect(server.repositories.has(ID)).toBe(false);
      expect(await readdir(home)).toEqual([]);
    });

    it("evaluates no file twice when uploading fails", async () => {
      server.faults.push(({ seen, response }) => {
        if (!seen.path.includes("/commit/")) return false;
        response.writeHead(400).end();
        return true;
      });
      const failed = await publish(...measured, "--delete-local", "--json");
      expect(failed.exitCode).toBe(exitCodes.input);
      expect(evaluations(failed)).toBe(1);
      server.faults.length = 0;
      const again = await publish(...measured, "--delete-local", "--json");
      expect(again.exitCode, again.stderr).toBe(exitCodes.ok);
      expect(evaluations(again)).toBe(0);
      expect(card()).toMatch(/ \| 0\.\d+ \| [\d.]+ % \| [\d.]+ \| /);
    });

    it.each([
      ["texts that are not there", ["--eval", "none.txt"], /none\.txt/],
      ["windows that there are not", ["--eval", texts, "--context", "100000"], /100000|100,000/],
      ["options of --eval without it", ["--windows", "2"], /--eval, which is not asked for/],
      [
        "windows that no checkpoint has",
        ["--to", "mlx", "--eval", texts, "--context", "100000"],
        /100000|100,000/,
      ],
    ])("refuses %s before anything is made", async (_name, options, message) => {
      const result = await publish(...options);
      expect([exitCodes.usage, exitCodes.input]).toContain(result.exitCode);
      expect(result.stderr).toMatch(message);
      expect(server.repositories.has(ID)).toBe(false);
      expect(await readdir(home)).toEqual([]);
    });
  });

  it("shows what it would do, and does nothing", async () => {
    const plan = await publish("-t", "Q4_K_M,Q8_0", "--dry-run");
    expect(plan.exitCode).toBe(exitCodes.ok);
    expect(plan.stdout).toMatch(/Q4_K_M .* to make and upload/);
    expect(plan.stdout).toContain(`${ID} (will be created)`);
    expect(server.repositories.has(ID)).toBe(false);
    expect(await readdir(home)).toEqual([]);
    const record = await publish("--dry-run", "--json", "--delete-local");
    expect(JSON.parse(record.stdout)).toMatchObject({
      type: "plan",
      repository: ID,
      deletesLocal: true,
      items: [{ item: "Q4_K_M", state: "planned" }],
    });
  });

  it("says as JSON lines what it does, and removes files that are published", async () => {
    const { stdout, exitCode } = await publish("-t", "Q8_0", "--json", "--delete-local", "--pr");
    expect(exitCode).toBe(exitCodes.ok);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string });
    const types = lines.map(({ type }) => type);
    expect(types).toEqual(
      expect.arrayContaining(["publish:start", "item:published", "item:deleted", "pull-request"]),
    );
    expect(lines.at(-1)).toMatchObject({ type: "result", repository: ID, branch: "refs/pr/1" });
    expect((await readdir(join(home, "demo-GGUF"))).filter((name) => name.includes(".gguf"))).toEqual([]);
  });

  it("says what a token must be able to do", async () => {
    const argv = ["publish", demoCheckpoint, "--repo", ID];
    const reader = await run(argv, { HF_TOKEN: READER });
    expect(reader.exitCode).toBe(exitCodes.input);
    expect(reader.stderr).toContain('it needs the role "write"');
    expect(reader.stderr).not.toContain(READER);
    const none = await run(argv, { HF_TOKEN: "" });
    expect(none.stderr).toMatch(/publishing needs a token with the role "write".*HF_TOKEN/s);
    const plan = await run([...argv, "--dry-run"], { HF_TOKEN: "" });
    expect(plan.exitCode).toBe(exitCodes.ok);
  });

  it.each([
    [["--repo", "demo"], "Write <owner>/<name>"],
    [["--repo", ID, "--revision", "v1"], "USAGE_REVISION"],
    [["--repo", ID, "--base-model", ID], "USAGE_REPOSITORY"],
    [["--repo", ID, "--report-file", "none.json"], "REPORT_NOT_FOUND"],
  ])("refuses %j", async (more, message) => {
    const result = await run(["publish", demoCheckpoint, ...more]);
    expect(result.exitCode).not.toBe(exitCodes.ok);
    expect(result.stderr).toContain(message);
    expect(server.repositories.has(ID)).toBe(false);
  });

  it("publishes a checkpoint for other programs, once", async () => {
    const argv = ["--to", "compressed-tensors", "--recipe", "w8a8", "--delete-local"];
    const first = await publish(...argv);
    expect(first.stderr).not.toContain("error:");
    expect(first.exitCode).toBe(exitCodes.ok);
    const plain = join(home, "plain");
    const convert = ["convert", "hf:org/quern-demo", "--recipe", "w8a8", "--threads", "0", "-o", plain];
    expect((await run(convert)).exitCode).toBe(0);
    // The card is another: it says where the model is published.
    for (const name of (await readdir(plain)).filter((file) => file !== "README.md")) {
      const hash = createHash("sha256")
        .update(await readFile(join(plain, name)))
        .digest("hex");
      expect(published().get(name)).toBe(hash);
    }
    const { content } = server.repositories.get(ID)!.head.files.get("README.md")!;
    const card = content.read(0, content.size).toString();
    expect(card).toContain("base_model: org/quern-demo");
    expect(card).toContain("quantized_by: mill");
    expect(card).toContain(`vllm serve ${ID}`);
    expect(await readdir(join(home, "demo-GGUF"))).toEqual(["mill--demo-GGUF.publication.jsonl"]);
    const access = { endpoint: server.endpoint, token: TOKEN };
    const downloaded = join(home, "downloaded");
    await mkdir(downloaded);
    for (const location of (await openRepository({ reference: { id: ID }, access })).files.values()) {
      await writeFile(join(downloaded, location.path), await readHubFile({ location, access }));
    }
    const verified = await run(["verify", downloaded, "--source", "hf:org/quern-demo"]);
    expect(verified.stderr).not.toContain("error:");
    expect(verified.exitCode).toBe(exitCodes.ok);
    const { commits } = server.repositories.get(ID)!;
    const before = commits.size;
    expect((await publish(...argv)).stderr).toContain("published already");
    expect(commits.size).toBe(before);
    const wrong = await publish("--to", "gptq", "-t", "Q8_0");
    expect(wrong.stderr).toContain("USAGE_CONTAINER");
  });

  it("removes weights of the checkpoint before, where they are divided otherwise, and nothing else", async () => {
    const argv = ["--to", "bnb", "--output-dir", "bnb"];
    expect((await publish(...argv)).exitCode).toBe(exitCodes.ok);
    const repository = server.repositories.get(ID)!;
    const theirs = storedFile("adapter_model.safetensors", memoryContent(Buffer.from("theirs")));
    repository.commit({ files: new Map([...repository.head.files, ["adapter_model.safetensors", theirs]]) });
    const divided = await publish(...argv, "--split-max-size", "1M");
    expect([divided.exitCode, divided.stderr]).toEqual([exitCodes.ok, expect.not.stringContaining("error:")]);
    const weights = [...published().keys()].filter((path) => path.includes("safetensors")).sort();
    expect(weights).toEqual([
      "adapter_model.safetensors",
      ...[1, 2, 3].map((part) => `model-0000${part}-of-00003.safetensors`),
      "model.safetensors.index.json",
    ]);
  });

  it("replaces weights that something else has made only where that is asked for", async () => {
    const theirs = (name: string): [string, StoredFile] => [
      name,
      storedFile(name, memoryContent(Buffer.from("theirs"))),
    ];
    expect((await publish("-t", "Q8_0")).exitCode).toBe(exitCodes.ok);
    const repository = server.repositories.get(ID)!;
    const adapter = theirs("adapter_model.safetensors");
    repository.commit({ files: new Map([...repository.head.files, adapter]) });
    expect((await publish("--to", "bnb", "--output-dir", "bnb", "--dry-run")).exitCode).toBe(exitCodes.ok);
    const files = ["model.safetensors", "pytorch_model.bin"].map(theirs);
    repository.commit({ files: new Map([...repository.head.files, ...files]) });
    const refused = await publish("--to", "bnb", "--output-dir", "bnb", "--dry-run");
    expect(refused.exitCode).toBe(exitCodes.output);
    expect(refused.stderr).toMatch(/weights that something else has made: model\.safetensors and 1 more/);
    expect(refused.stderr).toContain("PUBLISH_REPOSITORY_TAKEN");
    const forced = await publish("--to", "bnb", "--output-dir", "bnb", "--force");
    expect([forced.exitCode, forced.stderr]).toEqual([exitCodes.ok, expect.not.stringContaining("error:")]);
  });

  it("leaves alone what somebody has put into the folder of a checkpoint", async () => {
    const argv = ["--to", "compressed-tensors", "--recipe", "w8a8"];
    expect((await publish(...argv)).exitCode).toBe(exitCodes.ok);
    const folder = join(home, "demo-GGUF", "quern-demo-w8a8");
    await writeFile(join(folder, "notes.txt"), "mine");
    const again = await publish(...argv, "--delete-local");
    expect(again.stderr).not.toContain("error:");
    expect(published().has("notes.txt")).toBe(false);
    expect(await readdir(folder)).toEqual(["notes.txt"]);
  });

  it("tells figures of an evaluation in the card", async () => {
    const out = join(home, "demo-GGUF");
    await run(["convert", demoCheckpoint, "-t", "Q8_0", "--threads", "0", "-o", `${out}/`]);
    const [name] = await readdir(out);
    await writeFile(join(home, "text.txt"), "Grain is ground between two stones. ".repeat(60));
    const measured = ["--data", "text.txt", "-c", "128", "--windows", "2", "--report", "evaluation.json"];
    const evaluation = await run(["eval", join(out, name!), "--against", demoCheckpoint, ...measured]);
    expect(evaluation.stderr).not.toContain("error:");
    const inTheWay = await publish("-t", "Q8_0", "--report-file", "evaluation.json");
    expect(inTheWay.stderr).toContain("OUTPUT_EXISTS");
    const { exitCode } = await publish("-t", "Q8_0", "--report-file", "evaluation.json", "--force");
    expect(exitCode).toBe(exitCodes.ok);
    const { content } = server.repositories.get(ID)!.head.files.get("README.md")!;
    const card = content.read(0, content.size).toString();
    expect(card).toMatch(/\| Q8_0 \| [\d.]+ MB \| [\d.]+ \| [\d.e-]+ \| [\d.]+ % \| [\d.]+ \| [\d.]+ % \|/);
    expect(card).toContain("256 tokens in windows of 128");
  });
});
