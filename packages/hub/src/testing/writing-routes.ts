import { answerJson, refuse } from "./answers.ts";
import { DISCUSSIONS } from "./discussions-route.ts";
import type { Exchange, Route } from "./exchange.ts";
import { repositoryOf } from "./reading-routes.ts";
import { memoryContent, storedFile, type StoredFile, StoredRepository } from "./stored-repository.ts";
import type { UploadStore } from "./upload-store.ts";

const ID = "(?<owner>[^/]+)/(?<name>[^/]+)";

/** Files of this size are large ones. */
const LARGE = 10 * 2 ** 20;

type Line =
  | { key: "header"; value: { summary: string; parentCommit?: string } }
  | { key: "file"; value: { path: string; content: string; encoding: string } }
  | { key: "lfsFile"; value: { path: string; algo: string; oid: string; size: number } }
  | { key: "deletedFile"; value: { path: string } };

interface BatchRequest {
  readonly operation: string;
  readonly transfers: readonly string[];
  readonly objects: readonly { readonly oid: string; readonly size: number }[];
}

/** What writing asks for: who one is, repositories, uploads of large files whole or in parts, commits and pull requests. */
export function writingRoutes(store: UploadStore): readonly Route[] {
  return [
    {
      host: "hub",
      method: "GET",
      pattern: /^\/api\/whoami-v2$/,
      answer: (exchange) => answerAccount(exchange, store),
    },
    DISCUSSIONS,
    {
      host: "hub",
      method: "POST",
      pattern: /^\/api\/repos\/create$/,
      answer: writing(store, createRepository),
    },
    {
      host: "hub",
      method: "POST",
      pattern: new RegExp(`^/api/models/${ID}/preupload/(?<branch>[^/]+)$`),
      answer: writing(store, answerPreupload),
    },
    {
      host: "hub",
      method: "POST",
      pattern: /^\/(?<owner>[^/]+)\/(?<name>[^/]+)\.git\/info\/lfs\/objects\/batch$/,
      answer: writing(store, answerBatch),
    },
    {
      host: "hub",
      method: "POST",
      pattern: /^\/api\/complete_multipart\/(?<upload>[0-9a-f]+)$/,
      answer: writing(store, answerComplete),
    },
    {
      host: "hub",
      method: "POST",
      pattern: new RegExp(`^/api/models/${ID}/commit/(?<branch>[^/]+)$`),
      answer: writing(store, answerCommit),
    },
    {
      host: "cdn",
      method: "PUT",
      pattern: /^\/objects\/(?<oid>[0-9a-f]{64})$/,
      answer: stored(async (exchange) => {
        const { request, response, names } = exchange;
        if (await store.put(names["oid"]!, request)) response.writeHead(200).end();
        else refuse(response, 400, "XAmzContentChecksumMismatch");
      }),
    },
    {
      host: "cdn",
      method: "PUT",
      pattern: /^\/uploads\/(?<upload>[0-9a-f]+)\/(?<part>\d+)$/,
      answer: stored(async ({ request, response, names }) => {
        if (!store.uploads.has(names["upload"]!)) return refuse(response, 404, "NoSuchUpload");
        const etag = await store.putPart(names["upload"]!, Number(names["part"]), request);
        response.writeHead(200, { etag }).end();
      }),
    },
  ];
}

type Answer = (exchange: Exchange, body: string, store: UploadStore) => void | Promise<void>;

/** Reads the body, and lets those in who may write. */
function writing(store: UploadStore, answer: Answer): Route["answer"] {
  return async (exchange) => {
    const { request, response, seen } = exchange;
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const token = seen.authorization?.replace("Bearer ", "");
    if (token === undefined || !exchange.server.tokens.has(token)) return refuse(response, 401, "");
    if (!store.writers.has(token)) return refuseSaying(response, 403, "You have read access only.");
    await answer(exchange, Buffer.concat(chunks).toString(), store);
  };
}

function stored(answer: (exchange: Exchange) => Promise<void>): Route["answer"] {
  return async (exchange) => {
    const { server, seen, response, query } = exchange;
    if (seen.authorization !== undefined) return refuse(response, 400, "InvalidArgument");
    if (!server.isSigned(query)) return refuse(response, 403, "AccessDenied");
    // A body that breaks off has no answer.
    await answer(exchange).catch(() => response.destroy());
  };
}

function refuseSaying(response: Exchange["response"], status: number, error: string): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
}

function answerAccount({ server, seen, response }: Exchange, store: UploadStore): void {
  const token = seen.authorization?.replace("Bearer ", "") ?? "";
  if (!server.tokens.has(token)) return refuse(response, 401, "");
  const role = store.writers.has(token) ? "write" : "read";
  answerJson(response, {
    id: "1",
    type: "user",
    name: "miller",
    fullname: "Miller",
    orgs: [],
    auth: { type: "access_token", accessToken: { displayName: "publishing", role } },
  });
}

function createRepository({ server, response }: Exchange, body: string): void {
  const { organization, name, visibility } = JSON.parse(body) as Record<string, string>;
  const id = `${organization}/${name}`;
  if (server.repositories.has(id)) {
    return refuseSaying(response, 409, "You already created this model repo");
  }
  const repository = new StoredRepository(id);
  repository.isPrivate = visibility === "private";
  const attributes = memoryContent(Buffer.from("*.gguf filter=lfs diff=lfs merge=lfs -text\n"));
  repository.commit({
    files: new Map([[".gitattributes", storedFile(".gitattributes", attributes)]]),
    title: "initial commit",
  });
  server.repositories.set(id, repository);
  answerJson(response, { url: `${server.endpoint}/${id}`, id });
}

function answerPreupload(exchange: Exchange, body: string, store: UploadStore): void {
  const { response } = exchange;
  if (repositoryOf(exchange) === undefined) return refuse(response, 404, "RepoNotFound");
  const { files } = JSON.parse(body) as { files: readonly { path: string; size: number }[] };
  answerJson(response, {
    files: files.map(({ path, size }) => ({
      path,
      uploadMode: store.largeNames.test(path) || size > LARGE ? "lfs" : "regular",
    })),
  });
}

function answerBatch(exchange: Exchange, body: string, store: UploadStore): void {
  const { server, response } = exchange;
  if (repositoryOf(exchange) === undefined) return refuse(response, 404, "RepoNotFound");
  const { objects, transfers } = JSON.parse(body) as BatchRequest;
  const inParts = objects.some(({ size }) => size > store.partSize) && transfers.includes("multipart");
  const uploadOf = (oid: string, size: number): object => {
    if (size <= store.partSize) return { href: server.sign(`objects/${oid}`) };
    const upload = store.begin(oid, size);
    const parts = Array.from({ length: Math.ceil(size / store.partSize) }, (_, index) => [
      String(index + 1).padStart(5, "0"),
      server.sign(`uploads/${upload}/${index + 1}`),
    ]);
    return {
      href: `${server.endpoint}/api/complete_multipart/${upload}`,
      header: { chunk_size: String(store.partSize), ...Object.fromEntries(parts) },
    };
  };
  answerJson(response, {
    transfer: inParts ? "multipart" : "basic",
    objects: objects.map(({ oid, size }) => ({
      oid,
      size,
      ...(store.objects.has(oid) ? {} : { actions: { upload: uploadOf(oid, size) } }),
    })),
  });
}

async function answerComplete(exchange: Exchange, body: string, store: UploadStore): Promise<void> {
  const { response, names } = exchange;
  const { oid, parts } = JSON.parse(body) as { oid: string; parts: { partNumber: number; etag: string }[] };
  const upload = store.uploads.get(names["upload"]!);
  if (upload?.oid !== oid) return refuse(response, 404, "NoSuchUpload");
  if (await store.complete(names["upload"]!, parts)) answerJson(response, { success: true });
  else refuseSaying(response, 400, "The parts do not make the object.");
}

function answerCommit(exchange: Exchange, body: string, store: UploadStore): void {
  const { server, response, names, query } = exchange;
  const repository = repositoryOf(exchange);
  if (repository === undefined) return refuse(response, 404, "RepoNotFound");
  const opens = query.get("create_pr") === "1";
  const base = repository.find(names["branch"]!);
  if (base === undefined) return refuse(response, 404, "RevisionNotFound");
  const files = new Map<string, StoredFile>(base.files);
  let title = "";
  for (const line of body.split("\n").map((text) => JSON.parse(text) as Line)) {
    const { key, value } = line;
    if (key === "header") {
      title = value.summary;
      if (value.parentCommit !== undefined && value.parentCommit !== base.id) {
        return refuseSaying(response, 412, "A commit has happened since. Please refresh and try again.");
      }
    } else if (key === "deletedFile") files.delete(value.path);
    else if (key === "file") {
      const content = memoryContent(Buffer.from(value.content, "base64"));
      files.set(value.path, storedFile(value.path, content, false));
    } else {
      const content = store.objects.get(value.oid);
      if (content?.size !== value.size) {
        return refuseSaying(
          response,
          400,
          `LFS pointer pointed to a file that does not exist: ${value.path}`,
        );
      }
      files.set(value.path, { content, lfs: true, etag: value.oid });
    }
  }
  const numbers = [...repository.refs.keys()].flatMap((ref) => /^refs\/pr\/(\d+)$/.exec(ref)?.[1] ?? []);
  const pullRequest = Math.max(0, ...numbers.map(Number)) + 1;
  const branch = opens ? `refs/pr/${pullRequest}` : names["branch"]!;
  const { id } = repository.commit({ files, title, branch });
  if (opens) repository.pullRequests.push({ num: pullRequest, title });
  const url = `${server.endpoint}/${repository.id}`;
  answerJson(response, {
    success: true,
    commitOid: id,
    commitUrl: `${url}/commit/${id}`,
    hookOutput: "",
    ...(opens ? { pullRequestUrl: `${url}/discussions/${pullRequest}` } : {}),
  });
}
