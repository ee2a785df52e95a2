import { QuernError } from "@quern/tensor";
import type { Service } from "../service.ts";

interface EchoOptions {
  readonly greeting: string;
}

/** A service for tests: answers, fails or ends its thread, as the task says. */
export async function createService({ greeting }: EchoOptions): Promise<Service<string, string>> {
  if (greeting === "") throw new QuernError("NO_GREETING", "no greeting", { subject: { key: "greeting" } });
  return {
    description: greeting,
    run(task, lane) {
      if (task === "fail") throw new QuernError("TASK_BAD", "a bad task", { subject: { tensor: "t" } });
      if (task === "break") throw new TypeError("broken");
      if (task === "exit") process.exit(3);
      return `${greeting}, ${task} ${lane}`;
    },
    close: async () => {},
  };
}
