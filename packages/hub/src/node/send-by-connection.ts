import type { HttpSend } from "@quern/tensor";
import { HttpConnection } from "./http-connection.ts";

/** Connections of this thread that wait to be used again, by origin. They keep no process alive, and end by themselves. */
const waiting = new Map<string, HttpConnection[]>();

/** Sends a GET request by a connection of this thread. How long an answer may take is for the signal to say. */
export const sendByConnection: HttpSend = async (url, { headers, signal }) => {
  const target = new URL(url);
  const request = { path: target.pathname + target.search, headers, signal };
  for (;;) {
    signal?.throwIfAborted();
    const used = waiting.get(target.origin)?.pop();
    const connection = used ?? openConnection(target.origin);
    try {
      return await connection.ask(request);
    } catch (error) {
      // A server may end a connection that waits just when it is used again: this says nothing of the request.
      if (used === undefined || connection.hasAnswered) throw error;
    }
  }
};

function openConnection(origin: string): HttpConnection {
  const free = waiting.get(origin) ?? [];
  waiting.set(origin, free);
  return new HttpConnection(new URL(origin), {
    free: (connection) => free.push(connection),
    closed: (connection) => {
      const at = free.indexOf(connection);
      if (at >= 0) free.splice(at, 1);
    },
  });
}
