import { answerJson, refuse } from "./answers.ts";
import type { Route } from "./exchange.ts";
import { refusalOf, repositoryOf } from "./reading-routes.ts";

/** Discussions of a page: few, so that a few are several pages. */
const PAGE = 2;

/** Pull requests of a repository, newest first; there are no other discussions, and all are open. */
export const DISCUSSIONS: Route = {
  host: "hub",
  method: "GET",
  pattern: /^\/api\/models\/(?<owner>[^/]+)\/(?<name>[^/]+)\/discussions$/,
  answer: (exchange) => {
    const { response, query } = exchange;
    const repository = repositoryOf(exchange);
    const refused = refusalOf(exchange, repository, "information");
    if (refused !== undefined) return refuse(response, ...refused);
    const { id, pullRequests } = repository!;
    const isWanted = query.get("type") !== "discussion" && query.get("status") !== "closed";
    const all = isWanted ? [...pullRequests].reverse() : [];
    const start = PAGE * Number(query.get("p") ?? 0);
    answerJson(response, {
      count: all.length,
      start,
      discussions: all.slice(start, start + PAGE).map(({ num, title }) => ({
        num,
        title,
        status: "open",
        isPullRequest: true,
        author: { name: "miller" },
        createdAt: "2026-01-01T00:00:00.000Z",
        repo: { type: "model", name: id },
      })),
    });
  },
};
