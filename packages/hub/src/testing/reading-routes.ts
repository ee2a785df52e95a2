import { answerFile, answerJson, refuse } from "./answers.ts";
import type { Exchange, Route } from "./exchange.ts";
import { gitHash, memoryContent, type StoredCommit, type StoredRepository } from "./stored-repository.ts";

/** Entries of a page of a tree: few, so that small repositories have several pages. */
const PAGE = 3;

const ID = "(?<owner>[^/]+)/(?<name>[^/]+)";

/** What reading asks for: information, trees, and files at both hosts. */
export const READING_ROUTES: readonly Route[] = [
  {
    host: "hub",
    method: "GET",
    pattern: new RegExp(`^/api/models/${ID}/revision/(?<revision>.+)$`),
    answer: (exchange) => withCommit(exchange, "information", answerInformation),
  },
  {
    host: "hub",
    method: "GET",
    pattern: new RegExp(`^/api/models/${ID}/tree/(?<revision>[^/]+)$`),
    answer: (exchange) => withCommit(exchange, "information", answerTree),
  },
  {
    host: "hub",
    method: "GET",
    pattern: new RegExp(`^/${ID}/resolve/(?<revision>[^/]+)/(?<path>.+)$`),
    file: ({ owner, name, revision, path }, { repositories }) =>
      repositories.get(`${owner}/${name}`)?.find(revision!)?.files.get(path!),
    answer: (exchange) => withCommit(exchange, "files", answerResolve),
  },
  {
    host: "cdn",
    method: "GET",
    pattern: /^\/(?<etag>[0-9a-f]{64})$/,
    file: ({ etag }, { repositories }) => {
      for (const { commits } of repositories.values()) {
        for (const { files } of commits.values()) {
          for (const file of files.values()) if (file.etag === etag) return file;
        }
      }
      return undefined;
    },
    answer: answerSigned,
  },
];

/** The repository that a request names, if it exists; whoever asks may not be allowed to know that. */
export function repositoryOf({ server, names }: Exchange): StoredRepository | undefined {
  return server.repositories.get(`${names["owner"]}/${names["name"]}`);
}

/** Why a request is refused: status and `X-Error-Code`. Information on gated repositories can be read by all, their files cannot. */
export function refusalOf(
  { server, seen }: Exchange,
  repository: StoredRepository | undefined,
  wanted: "information" | "files",
): readonly [status: number, code: string] | undefined {
  const token = seen.authorization?.replace("Bearer ", "");
  const isKnown = token !== undefined && server.tokens.has(token);
  if (server.tokens.size > 0 && !isKnown) {
    if (token !== undefined && token !== "hf_of_another_account") return [401, ""];
    if (!repository?.gated) return token === undefined ? [401, "RepoNotFound"] : [404, "RepoNotFound"];
    if (wanted === "files") return [token === undefined ? 401 : 403, "GatedRepo"];
  }
  return repository === undefined ? [404, "RepoNotFound"] : undefined;
}

function withCommit(
  exchange: Exchange,
  wanted: "information" | "files",
  answer: (exchange: Exchange, repository: StoredRepository, commit: StoredCommit) => void | Promise<void>,
): void | Promise<void> {
  const { response, names } = exchange;
  const repository = repositoryOf(exchange);
  const refused = refusalOf(exchange, repository, wanted);
  if (refused !== undefined) return refuse(response, ...refused);
  const commit = repository!.find(names["revision"]!);
  if (commit === undefined) return refuse(response, 404, "RevisionNotFound");
  return answer(exchange, repository!, commit);
}

function answerInformation(
  { response }: Exchange,
  { id, isPrivate, gated }: StoredRepository,
  commit: StoredCommit,
): void {
  answerJson(response, {
    _id: "1",
    id,
    sha: commit.id,
    private: isPrivate,
    gated: gated ? "auto" : false,
    downloads: 0,
    likes: 0,
    lastModified: "2026-01-01T00:00:00.000Z",
    siblings: [...commit.files.keys()].map((rfilename) => ({ rfilename })),
  });
}

function answerTree(
  { server, response, query }: Exchange,
  { id }: StoredRepository,
  { id: commit, files }: StoredCommit,
): void {
  const first = Number(query.get("cursor") ?? 0);
  const all = [...files].map(([path, { content, etag, lfs }]) => ({
    type: "file",
    path,
    size: content.size,
    oid: lfs ? gitHash(memoryContent(Buffer.from(etag))) : etag,
    ...(lfs ? { lfs: { oid: etag, size: content.size, pointerSize: 134 } } : {}),
  }));
  const next = `${server.endpoint}/api/models/${id}/tree/${commit}?recursive=true&cursor=${first + PAGE}`;
  const link = first + PAGE < all.length ? { link: `<${next}>; rel="next"` } : {};
  answerJson(response, all.slice(first, first + PAGE), link);
}

function answerResolve(exchange: Exchange, _: StoredRepository, { id }: StoredCommit): void | Promise<void> {
  const { server, response, file } = exchange;
  if (file === undefined) return refuse(response, 404, "EntryNotFound");
  const commit = { "x-repo-commit": id };
  if (!file.lfs) return answerFile(exchange, `"${file.etag}"`, commit);
  response.writeHead(302, {
    location: server.sign(file.etag),
    "x-linked-etag": `"${file.etag}"`,
    "x-linked-size": file.content.size,
    ...commit,
  });
  response.end();
}

function answerSigned(exchange: Exchange): void | Promise<void> {
  const { server, seen, response, file, query } = exchange;
  // A host of files that gets two kinds of credentials refuses, as S3 does.
  if (seen.authorization !== undefined) return refuse(response, 400, "InvalidArgument");
  if (!server.isSigned(query)) return refuse(response, 403, "AccessDenied");
  if (file === undefined) return refuse(response, 404, "NoSuchKey");
  return answerFile(exchange, `"at-cdn-${file.etag.slice(0, 8)}"`);
}
