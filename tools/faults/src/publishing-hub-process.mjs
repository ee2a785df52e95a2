// What publishing-hub.mjs starts.
import { createHash } from "node:crypto";

const { id, index, token, partSize } = JSON.parse(process.argv[2]);
const { HubServer, UploadStore, writingRoutes } = await import(index);
const store = await UploadStore.create();
store.writers.add(token);
store.partSize = partSize;
const server = await HubServer.start({ id: "org/other", routes: writingRoutes(store) });
server.tokens.add(token);

/** Requests that send something, and large files that came though they were there. */
let requests = 0;
let again = [];
server.faults.push(({ seen: { method, path } }) => {
  if (method !== "PUT" && method !== "POST") return false;
  requests++;
  process.send({ type: "request" });
  const [, whole] = /^\/objects\/([0-9a-f]{64})$/.exec(path) ?? [];
  const [, upload] = /^\/uploads\/([0-9a-f]+)\//.exec(path) ?? [];
  const oid = whole ?? store.uploads.get(upload)?.oid;
  if (oid !== undefined && store.objects.has(oid)) again.push(oid);
  return false;
});

const answers = {
  reset() {
    server.repositories.delete(id);
    server.requests.length = 0;
    store.objects.clear();
    store.uploads.clear();
    store.received = 0;
    requests = 0;
    again = [];
    return {};
  },
  state() {
    const repository = server.repositories.get(id);
    const commits = [...(repository?.commits.values() ?? [])];
    return {
      pullRequests: repository?.pullRequests.length ?? 0,
      requests,
      again,
      received: store.received,
      commits: commits.map(({ title, files }) => ({
        // Marks are others each time.
        title: title.replace(/publication [0-9a-f]{16}/, "publication"),
        files: [...files]
          .map(([path, { content }]) => [path, hashOf(content)])
          .sort(([one], [other]) => (one < other ? -1 : 1)),
      })),
    };
  },
};

function hashOf(content) {
  return createHash("sha256").update(content.read(0, content.size)).digest("hex");
}

process.on("message", (question) => process.send({ type: "answer", ...answers[question]() }));
process.on("disconnect", () => void store.remove().then(() => process.exit()));
process.send({ type: "answer", endpoint: server.endpoint });
