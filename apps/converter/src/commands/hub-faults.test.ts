import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { openHubCheckpoint } from "@quern/checkpoints/node";
import { hubAccess } from "@quern/hub";
import {
  answerStatus,
  everyNth,
  type Fault,
  firstOf,
  HubServer,
  ignoredRange,
  isWeights,
  resetMidBody,
  shortRange,
  slowTrickle,
  truncatedGzip,
} from "@quern/hub/testing";
import { convert, planConversion } from "@quern/pipeline";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { demoCheckpoint, temporaryFolder } from "../testing/run-cli.ts";

const NAME = "model.gguf";
const TOKEN = "hf_secret";
/** Impatient: tests cannot wait half a minute for every request that gets nowhere. */
const patience = { retries: 5, retryDelay: 1, stallTimeout: 1000 };

let expected: Buffer;
let server: HubServer | undefined;

async function convertWith(fault?: (server: HubServer) => Fault, threads: number = 1): Promise<string> {
  server = await HubServer.start({ id: `org/${basename(demoCheckpoint)}`, folder: demoCheckpoint });
  server.tokens.add(TOKEN);
  const access = hubAccess({ endpoint: server.endpoint, token: TOKEN });
  const checkpoint = await openHubCheckpoint(server.repository.id, { access, patience });
  const directory = await temporaryFolder();
  // Small buffers: many requests.
  const plan = await planConversion({
    checkpoint,
    outputs: [{ type: "Q4_0", path: join(directory, NAME) }],
    directory,
    threads,
    memory: 2 ** 20,
  });
  if (fault !== undefined) server.faults.push(fault(server));
  await convert(plan).catch(async (error: Error) => {
    throw Object.assign(error, { left: await readdir(directory) });
  });
  return join(directory, NAME);
}

beforeAll(async () => {
  expected = await readFile(await convertWith());
  await server?.stop();
});
afterEach(() => server?.stop());
afterAll(() => server?.stop());

/** In a few seconds, as dates of HTTP are told to the second: the past, most of the time. */
const date = (): string => new Date(Date.now() + 500).toUTCString();

describe("a conversion from the Hub", () => {
  it.each<[string, (server: HubServer) => Fault]>([
    ["bursts of 500, 502, 503 and 504", () => busyInBursts()],
    ["429 with seconds to wait", () => everyNth(9, isWeights, answerStatus(429, { "retry-after": "0" }))],
    [
      "429 with a date to wait for",
      () => firstOf(2, isWeights, (exchange) => answerStatus(429, { "retry-after": date() })(exchange)),
    ],
    ["408", () => everyNth(5, isWeights, answerStatus(408))],
    ["connections reset amid the body", () => everyNth(5, isWeights, resetMidBody)],
    [
      "connections reset at once",
      () => everyNth(5, isWeights, ({ response }) => !!response.socket?.resetAndDestroy()),
    ],
    ["ranges that are short", () => everyNth(4, isWeights, shortRange)],
    ["bodies that trickle", () => firstOf(2, isWeights, slowTrickle)],
    [
      "redirects that expire",
      (hub) =>
        everyNth(4, isWeights, () => {
          hub.expireRedirects();
          return false;
        }),
    ],
  ])("survives %s, byte for byte", async (_, fault) => {
    const path = await convertWith(fault);
    expect(Buffer.compare(await readFile(path), expected)).toBe(0);
  });

  it.each<[string, string, (server: HubServer) => Fault]>([
    ["whole files instead of ranges", "SOURCE_RANGE_UNSUPPORTED", () => laterOnes(ignoredRange)],
    ["compressed ranges, cut off", "SOURCE_RANGE_UNSUPPORTED", () => laterOnes(truncatedGzip)],
    ["ranges that are always short", "SOURCE_READ_FAILED", () => laterOnes(shortRange)],
    ["bodies that always trickle", "SOURCE_TRUNCATED", () => laterOnes(slowTrickle)],
    ["a server that stays busy", "SOURCE_READ_FAILED", () => laterOnes(answerStatus(503))],
    [
      "weights that change",
      "SOURCE_CHANGED",
      (hub) =>
        laterOnes(() => {
          hub.repository.changeFile("model.safetensors");
          hub.expireRedirects();
          return false;
        }),
    ],
    [
      "weights that change before the first answer",
      "SOURCE_CHANGED",
      (hub) => {
        hub.repository.changeFile("model.safetensors");
        return () => false;
      },
    ],
    [
      "an endpoint that does not say which version it has",
      "HUB_RESPONSE_INVALID",
      (hub) =>
        ({ seen, response, file }) => {
          if (!seen.path.includes("/resolve/")) return false;
          response.writeHead(302, { location: hub.sign(file!.etag) }).end();
          return true;
        },
    ],
  ])("reports %s and leaves only what can be gone on with", async (_, code, fault) => {
    const unfinished = /\.partial(\.journal)?$/;
    await expect(convertWith(fault)).rejects.toMatchObject({
      code,
      left: expect.toSatisfy((names: readonly string[]) => names.every((name) => unfinished.test(name))),
      message: expect.not.stringMatching(/Signature|hf_secret/) as string,
    });
  });
});

function laterOnes(fault: Fault): Fault {
  let requests = 0;
  return (exchange) => isWeights(exchange) && ++requests > 3 && fault(exchange);
}

function busyInBursts(): Fault {
  let requests = 0;
  return (exchange) => {
    const at = requests++ % 12;
    return at < 4 && answerStatus([500, 502, 503, 504][at]!)(exchange);
  };
}
