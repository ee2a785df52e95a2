// Conversions by a queue over TLS: a Redis with a certificate of an authority that only those know who are told.

import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectQueue, parseQueueAddress } from "@quern/queue";
import { redisHasTls, RedisServer } from "@quern/queue/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hashesOf, ProgramProcess } from "./testing/program-process.ts";
import { demoCheckpoint, temporaryFolder } from "./testing/run-cli.ts";

const PASSWORD = "geheim";

const openssl = (argv: readonly string[]): boolean =>
  spawnSync("openssl", argv, { stdio: "ignore" }).status === 0;

describe.skipIf(!openssl(["version"]) || !redisHasTls())(
  "quern convert --queue rediss:// (needs openssl, and a redis-server with TLS: tools/redis.sh gets one)",
  () => {
    let server: RedisServer;
    let authority: Record<string, string>;
    const all: ProgramProcess[] = [];

    beforeAll(async () => {
      const folder = await mkdtemp(join(tmpdir(), "quern-tls-"));
      const [certificate, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
      const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"];
      if (!openssl(["req", "-x509", ...curve, "-keyout", key, "-out", certificate, ...name])) {
        throw new Error("openssl has made no certificate");
      }
      server = await RedisServer.start({ password: PASSWORD, tls: { certificate, key } });
      authority = { NODE_EXTRA_CA_CERTS: certificate };
      return async () => {
        await server.stop();
        await rm(folder, { recursive: true });
      };
    });

    afterAll(async () => {
      for (const process of all) await process.kill();
    });

    function start(argv: readonly string[], env?: Readonly<Record<string, string>>): ProgramProcess {
      const process = new ProgramProcess(argv, env);
      all.push(process);
      return process;
    }

    it("writes the files of a run without it", async () => {
      const folder = await temporaryFolder();
      const [here, there] = [join(folder, "here/"), join(folder, "there/")];
      const worker = start(["worker", "--queue", server.url, "-j", "1"], authority);
      const argv = ["convert", demoCheckpoint, "-t", "Q4_K_M,Q8_0", "-o"];
      const run = start([...argv, there, "--queue", server.url, "--no-work"], authority);
      expect(await start([...argv, here]).ended).toBe(0);
      expect(await run.ended, run.text).toBe(0);
      expect(await hashesOf(there)).toEqual(await hashesOf(here));
      expect(worker.text).toContain(`works for rediss://localhost:${server.port}/0\n`);
    });

    it("trusts no certificate of an unknown authority, or for another name", async () => {
      const folder = await temporaryFolder();
      const argv = ["convert", demoCheckpoint, "-o", join(folder, "out/"), "--queue"];
      for (const [url, env] of [
        [server.url, {}],
        [server.url.replace("localhost", "127.0.0.1"), authority],
      ] as const) {
        const run = start([...argv, url], env);
        expect(await run.ended).toBe(1);
        expect(run.text).toMatch(
          /its certificate is not one to trust[^]*NODE_EXTRA_CA_CERTS[^]*code +QUEUE_CERTIFICATE/,
        );
      }
      const worker = start(["worker", "--queue", server.url]);
      expect(await worker.ended).toBe(1);
      expect(worker.text).toContain("QUEUE_CERTIFICATE");
      expect(await readdir(folder)).toEqual([]);
    });

    it("says what to try where one side speaks TLS, and the other does not", async () => {
      const plain = await RedisServer.start();
      try {
        const patience = { connect: 300 };
        for (const url of [`rediss://127.0.0.1:${plain.port}`, `redis://127.0.0.1:${server.port}`]) {
          await expect(connectQueue({ address: parseQueueAddress(url), patience })).rejects.toMatchObject({
            code: "QUEUE_UNREACHABLE",
            message: expect.stringMatching(/rediss:\/\/ is for those with TLS/),
          });
        }
      } finally {
        await plain.stop();
      }
    });

    it("has shown the password to nobody", () => {
      const said = all.map(({ text }) => text).join("\n");
      expect(said.length).toBeGreaterThan(1000);
      expect(said).not.toContain(PASSWORD);
    });
  },
);
