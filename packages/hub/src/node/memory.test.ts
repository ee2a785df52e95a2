import { afterAll, beforeAll, expect, it } from "vitest";
import { hubAccess } from "../access.ts";
import type { HubFileLocation } from "../hub-file.ts";
import { openRepository } from "../open-repository.ts";
import { HubServer, isWeights, memoryContent, storedFile } from "../testing/index.ts";
import { openStoredFile } from "./open-stored-file.ts";

const SIZE = 64 * 2 ** 20;
const SLAB = 4 * 2 ** 20;

/** Of all buffers that garbage and use have, but for what they are read into: some pieces of each connection that waits for its reader. */
const MOST = 4 * 2 ** 20;

const content = memoryContent(Buffer.alloc(SIZE, "some weights"));
let server: HubServer;

beforeAll(async () => {
  server = await HubServer.start({ id: "org/tiny" });
  server.repository.commit({
    files: new Map([["model.safetensors", storedFile("model.safetensors", content)]]),
  });
});
afterAll(() => server.stop());

it("reading a file takes no memory beyond what it is read into", async () => {
  const access = hubAccess({ endpoint: server.endpoint });
  const { files } = await openRepository({ reference: { id: "org/tiny" }, access });
  const location: HubFileLocation = files.get("model.safetensors")!;
  const source = await openStoredFile({ location, reading: { access } });
  const slab = new Uint8Array(SLAB);
  // What is loaded with the first request is there to stay.
  await source.read(0, SLAB, slab);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  server.faults.push((exchange) => {
    if (isWeights(exchange)) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    return false;
  });
  for (let at = 0; at < SIZE; at += SLAB) await source.read(at, SLAB, slab);
  most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  await source.close();
  expect(Buffer.compare(slab, content.read(SIZE - SLAB, SIZE))).toBe(0);
  expect(most).toBeLessThan(MOST);
});
