import { afterEach, beforeEach, expect, it } from "vitest";
import { hubAccess } from "../access.ts";
import type { NetworkWaitEvent } from "../patience.ts";
import { openRepository } from "../open-repository.ts";
import { answerStatus, firstOf, HubServer, isWeights, memoryContent, storedFile } from "../testing/index.ts";
import { openStoredFile } from "./open-stored-file.ts";
import { sharedReading, shareReading } from "./thread-access.ts";

const ID = "org/shared";
const TOKEN = "hf_shared";

let server: HubServer;

beforeEach(async () => {
  server = await HubServer.start({ id: ID });
  server.tokens.add(TOKEN);
  const weights = storedFile("a.safetensors", memoryContent(Buffer.alloc(1000, 7)));
  server.repository.commit({ files: new Map([["a.safetensors", weights]]), title: "Weights" });
});
afterEach(() => server.stop());

/** Reads the file as a thread would, with one request that fails. */
async function readShared(): Promise<void> {
  const access = hubAccess({ endpoint: server.endpoint, token: TOKEN });
  const { files } = await openRepository({ reference: { id: ID }, access });
  const location = files.get("a.safetensors")!;
  server.faults.splice(0, 1, firstOf(1, isWeights, answerStatus(503)));
  const reading = sharedReading({ endpoint: server.endpoint, id: ID });
  const source = await openStoredFile({ location, reading });
  expect((await source.read(0, 1000)).every((byte) => byte === 7)).toBe(true);
  await source.close();
}

it("tells whoever shared a reading last what is waited for, and nobody else", async () => {
  const access = hubAccess({ endpoint: server.endpoint, token: TOKEN });
  const repository = { endpoint: server.endpoint, id: ID };
  const told: { readonly by: string; readonly event: NetworkWaitEvent }[] = [];
  const share = (by: string, id = ID): void => {
    const onWait = (event: NetworkWaitEvent): unknown => told.push({ by, event });
    shareReading({ ...repository, id }, { access, patience: { retryDelay: 1, onWait } });
  };
  share("first");
  share("another", "org/another");
  await readShared();
  share("second");
  await readShared();
  expect(told.map(({ by, event }) => [by, event.file, event.reason, event.attempt])).toEqual([
    ["first", `hf:${ID}/a.safetensors`, "503 Service Unavailable", 2],
    ["second", `hf:${ID}/a.safetensors`, "503 Service Unavailable", 2],
  ]);
  expect(JSON.stringify(told)).not.toMatch(/hf_shared|Signature/);

  shareReading(repository, { access, patience: { retryDelay: 1 } });
  await readShared();
  expect(told).toHaveLength(2);
});
