import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, vi } from "vitest";
import { checkHub } from "./check-hub.ts";

// Proxies are asked for once in a process: this is the only test of the file.
it("asks the Hub the way that reading goes, by the proxies of the environment", async () => {
  const hub = createServer((_, response) => response.end(JSON.stringify({ name: "miller" })));
  await new Promise<void>((resolve) => hub.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  vi.stubEnv("HTTP_PROXY", "http://me:hf_secret@127.0.0.1:1");
  try {
    const env = { HF_ENDPOINT: endpoint, HF_TOKEN: "hf_secret" };
    const findings = await checkHub({ host: { env }, offline: false });
    expect(findings.map(({ name, state }) => [name, state])).toEqual([
      ["token", "ok"],
      ["hub", "warning"],
    ]);
    expect(findings[1]!.text).toMatch(/cannot be reached.*ECONNREFUSED/);
    expect(JSON.stringify(findings)).not.toContain("hf_secret");
  } finally {
    vi.unstubAllEnvs();
    hub.close();
  }
});
