// The Hub of the tests, for publications: in a process of its own, which says what its repository holds and what has been sent to it.
import { fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { compileHub } from "../../bench/src/start-hub.mjs";

const main = fileURLToPath(new URL("./publishing-hub-process.mjs", import.meta.url));

/**
 * @param params.scratch Folder for the compiled server.
 * @param params.partSize Bytes of the parts in which larger files are sent.
 * @returns its address; `ask("reset")` makes it as new, `ask("state")` says what there is; `onRequest`, if set, is called at each request that
 *   sends something
 */
export async function startPublishingHub({ id, scratch, token, partSize }) {
  const index = pathToFileURL(join(compileHub(scratch), "index.js")).href;
  const child = fork(main, [JSON.stringify({ id, index, token, partSize })], { execArgv: [] });
  const answers = [];
  const next = () =>
    new Promise((resolve, reject) => {
      answers.push(resolve);
      child.once("exit", (code) => reject(new Error(`The server ended with ${code}.`)));
    });
  const hub = {
    endpoint: undefined,
    onRequest: undefined,
    ask(question) {
      const answer = next();
      child.send(question);
      return answer.finally(() => child.removeAllListeners("exit"));
    },
    stop: () => child.kill(),
  };
  child.on("message", (message) => {
    if (message.type === "request") hub.onRequest?.();
    else answers.shift()(message);
  });
  hub.endpoint = (await next()).endpoint;
  return hub;
}
