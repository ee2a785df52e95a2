import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { sendByNode } from "./send-by-node.ts";

it("asks for bodies as they are, for nothing decodes them", async () => {
  const server = createServer(({ headers }, response) => {
    const text = "an answer";
    // What says nothing may get any encoding.
    if (headers["accept-encoding"] === "identity") response.end(text);
    else response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const answer = await sendByNode(`http://127.0.0.1:${port}/`, { headers: {}, signal: undefined });
    let text = "";
    await answer.readBody((piece) => (text += Buffer.from(piece).toString()));
    expect(text).toBe("an answer");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
