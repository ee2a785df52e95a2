import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findCachedFile } from "./cached-file.ts";
import { hubAccessOf, hubCacheFolder } from "./environment.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "quern-hub-"));
});
afterEach(() => rm(home, { recursive: true }));

describe("the environment", () => {
  it("gives endpoint and token, the variable before the file", async () => {
    expect(await hubAccessOf({ HOME: home })).toEqual({ endpoint: "https://huggingface.co" });
    await writeFile(join(home, "token"), "hf_file\n");
    const given = { HF_HOME: home, HF_ENDPOINT: "http://localhost:1/hub/" };
    expect(await hubAccessOf(given)).toEqual({ endpoint: "http://localhost:1/hub", token: "hf_file" });
    expect(await hubAccessOf({ ...given, HF_TOKEN: "hf_variable" })).toMatchObject({ token: "hf_variable" });
    expect(await hubAccessOf({ HOME: home, HF_TOKEN_PATH: join(home, "token") })).toMatchObject({
      token: "hf_file",
    });
    await mkdir(join(home, "folder", "token"), { recursive: true });
    await expect(hubAccessOf({ HF_HOME: join(home, "folder") })).rejects.toMatchObject({
      code: "HUB_TOKEN_UNREADABLE",
    });
  });

  it("says where the cache is", () => {
    expect(hubCacheFolder({ HOME: "/home" })).toBe(join("/home", ".cache", "huggingface", "hub"));
    expect(hubCacheFolder({ HOME: "/home", XDG_CACHE_HOME: "/cache" })).toBe(
      join("/cache", "huggingface", "hub"),
    );
    expect(hubCacheFolder({ HF_HOME: "/hf" })).toBe(join("/hf", "hub"));
    expect(hubCacheFolder({ HF_HOME: "/hf", HF_HUB_CACHE: "/other" })).toBe("/other");
  });

  it("has paths as shells write them", async () => {
    await writeFile(join(home, "token"), "hf_file");
    expect(await hubAccessOf({ HOME: home, HF_HOME: "~" })).toMatchObject({ token: "hf_file" });
    expect(await hubAccessOf({ DATA: home, HF_TOKEN_PATH: "$DATA/token" })).toMatchObject({
      token: "hf_file",
    });
    expect(hubCacheFolder({ HOME: "/home", HF_HOME: "~/hf" })).toBe(join("/home/hf", "hub"));
    expect(hubCacheFolder({ DATA: "/data", HF_HUB_CACHE: "${DATA}/a~b/$NONE" })).toBe("/data/a~b/$NONE");
  });
});

it("finds complete files of the right version in the cache", async () => {
  const etag = "a".repeat(64);
  const location = {
    kind: "hub",
    endpoint: "https://huggingface.co",
    id: "org/name",
    commit: "c".repeat(40),
    path: "sub/model.safetensors",
    size: 3,
    etag,
  } as const;
  const repository = join(home, "models--org--name");
  const snapshot = join(repository, "snapshots", location.commit, "sub");
  const blob = join(repository, "blobs", etag);
  await mkdir(join(repository, "blobs"), { recursive: true });
  await mkdir(snapshot, { recursive: true });
  await writeFile(blob, "abc");
  expect(await findCachedFile({ cache: { folder: home }, location })).toBeUndefined();
  await symlink(blob, join(snapshot, "model.safetensors"));
  expect(await findCachedFile({ cache: { folder: home }, location })).toMatch(new RegExp(`blobs.${etag}$`));
  expect(
    await findCachedFile({ cache: { folder: home }, location: { ...location, size: 4 } }),
  ).toBeUndefined();
  const other = { ...location, etag: "b".repeat(64) };
  expect(await findCachedFile({ cache: { folder: home }, location: other })).toBeUndefined();
});
