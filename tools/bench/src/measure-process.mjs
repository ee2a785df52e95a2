// Runs a process, takes its time, and follows its resident high-water mark (VmHWM of /proc).
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * @param environment Default: that of this process.
 * @returns seconds, its seconds of processor time, bytes at the peak, and the last line of its output
 */
export function measureProcess(command, script, environment = process.env) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, script, { stdio: ["ignore", "pipe", "pipe"], env: environment });
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
    let cpuSeconds = 0;
    const timer = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        const times = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1].split(" ");
        // utime and stime, in hundredths of a second
        cpuSeconds = (Number(times[11]) + Number(times[12])) / 100;
        peakBytes = Math.max(peakBytes, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
      } catch {
        // The process has just ended.
      }
    }, 20);
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(timer);
      if (code === 0)
        resolve({ seconds: (performance.now() - start) / 1000, cpuSeconds, peakBytes, lastLine });
      else reject(new Error(`${command} ${script.slice(0, 2).join(" ")} exited with ${code}: ${messages}`));
    });
  });
}
