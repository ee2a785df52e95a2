import type { Exchange, Fault } from "./exchange.ts";

/** Whether a request sends a large file, or a part of one, to the host of files. */
export function isUpload({ seen }: Exchange): boolean {
  return seen.host === "cdn" && seen.method === "PUT";
}

/** Whether a request makes a commit. */
export function isCommit({ seen }: Exchange): boolean {
  return seen.method === "POST" && seen.path.includes("/commit/");
}

/** Reads some of the body, then resets the connection. */
export const resetUpload: Fault = ({ request }) => {
  request.once("data", () => request.socket.resetAndDestroy());
  return true;
};

/** Lets the request be done, and hangs up instead of answering. */
export const hangUpOnceDone: Fault = ({ response }) => {
  response.writeHead = () => {
    response.destroy();
    return response;
  };
  return false;
};

/** Answers as a gateway that has waited long enough, and lets the request be done when something has happened. */
export function finishLate(until: Promise<void>): Fault {
  return ({ request, response }) => {
    const pieces = request[Symbol.asyncIterator].bind(request);
    request[Symbol.asyncIterator] = async function* () {
      for await (const piece of pieces()) yield piece as Buffer;
      response.writeHead(504).end();
      response.writeHead = () => response;
      response.end = () => response;
      await until;
      return undefined;
    };
    return false;
  };
}

/** Hangs up without having done anything, though the request has come whole. */
export const loseAnswer: Fault = ({ request }) => {
  request.on("end", () => request.socket.destroy());
  request.resume();
  return true;
};
