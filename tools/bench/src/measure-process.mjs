// Runs a process, takes its time, and follows its resident high-water mark (VmHWM of /proc).
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** @returns seconds, bytes at the peak, and the last line of its output */
export function measureProcess(command, script) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, script, { stdio: ["ignore", "pipe", "pipe"] });
    let lastLine = "";
    let messages = "";
    let unfinished = "";
    child.stdout.on("data", (data) => {
      const lines = (unfinished + data).split("\n");
      unfinished = lines.pop();
      lastLine = lines.at(-1) ?? lastLine;
    });
    child.stderr.on("data", (data) => (messages += data));
    let peakBytes = 0;
    const timer = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        peakBytes = Math.max(peakBytes, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      } catch {
        // The process has just ended.
      }
    }, 20);
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ seconds: (performance.now() - start) / 1000, peakBytes, lastLine });
      else reject(new Error(`${command} ${script.slice(0, 2).join(" ")} exited with ${code}: ${messages}`));
    });
  });
}
