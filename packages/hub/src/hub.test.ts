import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type HttpSend, type QuernError, sendByFetch } from "@quern/tensor";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HubAccess, hubAccess } from "./access.ts";
import { type HubFileLocation, openHubFile } from "./hub-file.ts";
import { type HubRepository, openRepository } from "./open-repository.ts";
import { sendByNode } from "./node/send-by-node.ts";
import { readHubFile } from "./read-hub-file.ts";
import { parseHubReference } from "./reference.ts";
import {
  answerStatus,
  everyNth,
  firstOf,
  HubServer,
  ignoredRange,
  isWeights,
  resetMidBody,
  shortRange,
  slowTrickle,
} from "./testing/index.ts";

const folder = fileURLToPath(new URL("../../../fixtures/golden/llama31-bpe/checkpoint/", import.meta.url));
const SHARD = "model-00001-of-00003.safetensors";
const TOKEN = "hf_secret";
/** A loaded machine may take long to answer, but not a second. */
const patience = { retries: 4, retryDelay: 1, stallTimeout: 1000 };

let server: HubServer;
let bytes: Buffer;
let transport: HttpSend;

beforeEach(async () => {
  server = await HubServer.start({ id: "org/tiny", folder });
  bytes = await readFile(join(folder, SHARD));
});
afterEach(() => server.stop());

function access(token?: string): HubAccess {
  return hubAccess({ endpoint: server.endpoint, token });
}

function open(text = "hf:org/tiny", token?: string): Promise<HubRepository> {
  const reading = { access: access(token), patience, transport };
  return openRepository({ reference: parseHubReference(text), ...reading });
}

async function shard(token?: string): Promise<HubFileLocation> {
  return (await open("hf:org/tiny", token)).files.get(SHARD)!;
}

async function readAll(
  location: HubFileLocation,
  token?: string,
  retries: number = patience.retries,
): Promise<Uint8Array> {
  const reading = { access: access(token), patience: { ...patience, retries }, transport };
  const source = await openHubFile({ location, ...reading });
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

async function errorOf(work: Promise<unknown>): Promise<QuernError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(Error);
  return error as QuernError;
}

describe.each([
  ["fetch", sendByFetch({ fetch })],
  ["Node", sendByNode],
])("by %s", (_, send) => {
  beforeEach(() => {
    transport = send;
  });

  describe("repositories", () => {
    it.each(["hf:org/tiny", "hf:org/tiny@v1", "hf:org/tiny@refs/pr/1"])(
      "%s is pinned to a commit",
      async (text) => {
        const { id, commit, files } = await open(text);
        expect({ id, commit }).toEqual({ id: "org/tiny", commit: server.repository.head.id });
        expect(files.size).toBe(10);
        expect(files.get(SHARD)).toMatchObject({ kind: "hub", commit, size: bytes.length });
        await readAll(files.get(SHARD)!);
        for (const { path } of server.requests.slice(1)) expect(path).not.toMatch(/main|v1|refs/);
      },
    );

    it("are read although the Hub is busy at first", async () => {
      server.faults.push(everyNth(2, ({ seen }) => seen.path.startsWith("/api/"), answerStatus(503)));
      expect((await open()).files.size).toBe(10);
    });

    it("read small files whole, and check their hashes", async () => {
      const { files } = await open();
      for (const name of ["config.json", SHARD]) {
        const read = await readHubFile({ location: files.get(name)!, access: access(), patience, transport });
        expect(Buffer.compare(read, await readFile(join(folder, name)))).toBe(0);
        server.repository.damageFile(name);
        const damaged = readHubFile({ location: files.get(name)!, access: access(), patience, transport });
        await expect(damaged).rejects.toMatchObject({ code: "HUB_FILE_CORRUPT" });
      }
    });
  });

  describe("refusals", () => {
    it("of a repository that is not there, or is private", async () => {
      const missing = await errorOf(open("hf:org/other"));
      expect(missing.code).toBe("HUB_REPOSITORY_NOT_FOUND");
      server.tokens.add(TOKEN);
      const secret = await errorOf(open());
      expect(secret.code).toBe("HUB_REPOSITORY_NOT_FOUND");
      expect(secret.message).toMatch(/HF_TOKEN/);
      expect((await errorOf(open("hf:org/tiny", "hf_of_another_account"))).message).toMatch(/may not read/);
      expect((await open("hf:org/tiny", TOKEN)).files.size).toBe(10);
    });

    it("of a token that nobody has", async () => {
      server.tokens.add(TOKEN);
      const error = await errorOf(open("hf:org/tiny", "hf_mistyped"));
      expect(error.code).toBe("HUB_UNAUTHORIZED");
      expect(JSON.stringify([error.message, error.subject, String(error.cause)])).not.toMatch(/hf_mistyped/);
    });

    it("of a gated repository, which says what to do", async () => {
      server.tokens.add(TOKEN);
      server.repository.gated = true;
      for (const token of [undefined, "hf_of_another_account"]) {
        const location = await shard(token);
        const error = await errorOf(readAll(location, token));
        expect(error.code).toBe("HUB_GATED");
        expect(error.message).toContain(`Accept its conditions at ${server.endpoint}/org/tiny`);
      }
      expect(Buffer.compare(await readAll(await shard(TOKEN), TOKEN), bytes)).toBe(0);
    });

    it("of a revision or a file that is not there", async () => {
      await expect(open("hf:org/tiny@v2")).rejects.toMatchObject({ code: "HUB_REVISION_NOT_FOUND" });
      const location = { ...(await shard()), path: "nowhere" };
      await expect(readAll(location)).rejects.toMatchObject({ code: "HUB_FILE_NOT_FOUND" });
    });

    it("of answers that make no sense", async () => {
      server.faults.push(({ seen, response }) => {
        if (!seen.path.includes("/tree/")) return false;
        response.end(JSON.stringify([{ type: "file", path: "../x", size: 1, oid: "0".repeat(40) }]));
        return true;
      });
      await expect(open()).rejects.toMatchObject({ code: "HUB_RESPONSE_INVALID" });
      server.faults.push(({ response }) => {
        response.end("<html>");
        return true;
      });
      await expect(open()).rejects.toMatchObject({ code: "HUB_RESPONSE_INVALID" });
    });
  });

  describe("the token", () => {
    it("goes to the endpoint alone", async () => {
      server.tokens.add(TOKEN);
      await readAll(await shard(TOKEN), TOKEN);
      const by = (host: string): (string | undefined)[] =>
        server.requests.filter((request) => request.host === host).map((request) => request.authorization);
      expect(new Set(by("hub"))).toEqual(new Set([`Bearer ${TOKEN}`]));
      expect(new Set(by("cdn"))).toEqual(new Set([undefined]));
    });

    it("is no part of what says where a file is", async () => {
      server.tokens.add(TOKEN);
      expect(JSON.stringify(await shard(TOKEN))).not.toContain(TOKEN);
    });

    it("is in no message, though the Hub repeats it", async () => {
      server.tokens.add(TOKEN);
      const location = await shard(TOKEN);
      server.faults.push(({ response }) => {
        response.writeHead(418, `No pot for ${TOKEN}`).end();
        return true;
      });
      for (const work of [() => open("hf:org/tiny", TOKEN), () => readAll(location, TOKEN)]) {
        expect((await errorOf(work())).message).toContain("418 No pot for ***");
      }
    });

    it("may not hold line breaks, and an endpoint no credentials", () => {
      expect(() => hubAccess({ token: "hf_a\r\nx-evil: 1" })).toThrow(
        expect.objectContaining({
          code: "HUB_TOKEN_INVALID",
          message: expect.not.stringMatching("evil") as string,
        }),
      );
      for (const [endpoint, problem] of [
        ["huggingface.co", "is not a web address"],
        ["ftp://a.b", "is not a web address"],
        ["https://me:secret@a.b", "holds more than an address"],
        ["https://a.b?token=secret", "holds more than an address"],
        ["https://a.b#secret", "holds more than an address"],
        ["https://a.b/secret/models", "holds more than an address"],
      ] as const) {
        expect(() => hubAccess({ endpoint, token: "secret" })).toThrow(
          expect.objectContaining({
            code: "HUB_ENDPOINT_INVALID",
            message: expect.stringMatching(`^(?!.*secret).*${problem}`) as string,
          }),
        );
      }
    });
  });

  describe("ranges", () => {
    it("ask the endpoint once for all of a file", async () => {
      const location = await shard();
      server.requests.length = 0;
      const source = await openHubFile({ location, access: access(), patience, transport });
      for (let at = 0; at < 50_000; at += 10_000) {
        expect(Buffer.compare(await source.read(at, 1000), bytes.subarray(at, at + 1000))).toBe(0);
      }
      expect(server.requests.map(({ host }) => host)).toEqual(["hub", "cdn", "cdn", "cdn", "cdn", "cdn"]);
      expect(server.requests.at(-1)!.ifRange).toMatch(/^"at-cdn-/);
    });

    it.each([
      ["bursts of 503", firstOf(3, isWeights, answerStatus(503))],
      [
        "bursts of 500 at the endpoint",
        firstOf(3, ({ seen }) => seen.path.includes("/resolve/"), answerStatus(500)),
      ],
      ["429 with Retry-After", firstOf(3, isWeights, answerStatus(429, { "retry-after": "0" }))],
      ["resets amid the body", firstOf(3, isWeights, resetMidBody)],
      ["a body that trickles", firstOf(1, isWeights, slowTrickle)],
    ])("survive %s", async (_, fault) => {
      const location = await shard();
      server.faults.push(fault);
      expect(Buffer.compare(await readAll(location), bytes)).toBe(0);
    });

    it("survive redirects that expire", async () => {
      const source = await openHubFile({ location: await shard(), access: access(), patience, transport });
      await source.read(0, 100);
      server.expireRedirects();
      expect(Buffer.compare(await source.read(50, 1000), bytes.subarray(50, 1050))).toBe(0);
    });

    it.each([
      ["a short range", shortRange, "SOURCE_READ_FAILED"],
      ["an ignored range", ignoredRange, "SOURCE_RANGE_UNSUPPORTED"],
      ["a body that always trickles", slowTrickle, "SOURCE_TRUNCATED"],
      ["a server that is always busy", answerStatus(503), "SOURCE_READ_FAILED"],
    ])("report %s", async (_, fault, code) => {
      const location = await shard();
      server.faults.push((exchange) => isWeights(exchange) && fault(exchange));
      const error = await errorOf(readAll(location, undefined, 1));
      expect(error).toMatchObject({ code, subject: { file: `hf:org/tiny/${SHARD}` } });
      expect(error.message).not.toMatch(/Signature/);
    });

    it("report a file that changed, to those who read on and to those who begin", async () => {
      const location = await shard();
      const source = await openHubFile({ location, access: access(), patience, transport });
      await source.read(0, 100);
      server.repository.changeFile(SHARD);
      await expect(source.read(0, 100)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
      await expect(readAll(location)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    });

    it("refuse redirects in circles", async () => {
      const location = await shard();
      server.faults.push(({ seen, response }) => {
        response.writeHead(302, { location: seen.path }).end();
        return true;
      });
      await expect(readAll(location)).rejects.toMatchObject({ code: "HUB_REDIRECT_INVALID" });
    });

    it("end when aborted, and when closed", async () => {
      const location = await shard();
      server.faults.push((exchange) => isWeights(exchange) && slowTrickle(exchange));
      const controller = new AbortController();
      const patient = { access: access(), location, transport };
      const aborted = await openHubFile({ ...patient, signal: controller.signal });
      const closed = await openHubFile(patient);
      const reads = [errorOf(aborted.read(0, 1000)), errorOf(closed.read(0, 1000))];
      setTimeout(() => controller.abort(new Error("enough")), 50);
      setTimeout(() => void closed.close(), 50);
      const [first, second] = await Promise.all(reads);
      expect(first).toMatchObject({ code: "SOURCE_ABORTED", cause: { message: "enough" } });
      expect(second).toMatchObject({ code: "SOURCE_CLOSED" });
    });
  });
});
