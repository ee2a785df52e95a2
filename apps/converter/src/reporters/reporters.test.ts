import type { NetworkWaitEvent } from "@quern/hub";
import type { ConversionEvent, ConversionReport } from "@quern/pipeline";
import { describe, expect, it } from "vitest";
import { createStyle } from "../format/style.ts";
import { MemoryStream } from "../testing/memory-host.ts";
import { JsonReporter } from "./json.ts";
import { measuredInBytes, measuredInTokens } from "./measure.ts";
import { PlainReporter } from "./plain.ts";
import { Progress } from "./progress.ts";
import { progressLine, TtyReporter } from "./tty.ts";
import { WaitLines } from "./wait-lines.ts";

const tensor = "blk.0.ffn_gate.weight";
const style = createStyle(false);
const report: ConversionReport = {
  outputs: [{ type: "Q4_K_M", files: [{ path: "/models/demo.gguf", bytes: 290 }], bytes: 290, tensors: [] }],
  tensors: 2,
  parameters: 1000,
  sourceBytes: 2000,
  seconds: 10,
  kernels: "native avx2",
  profile: {
    threads: 2,
    start: 1,
    measure: 0,
    quantize: 12,
    convert: 1,
    idle: 2,
    other: 1,
    read: 3,
    write: 2,
    rounding: 0,
    finish: 1,
  },
};

function progress(done: number, total = 1000): ConversionEvent {
  return {
    type: "progress",
    tensor,
    tensorDone: done,
    tensorTotal: total,
    done,
    total,
    bytesWritten: done * 2,
  };
}

/** Plays a conversion of 1000 elements that takes ten seconds, in `steps` steps. */
function play(onEvent: (event: ConversionEvent) => void, clock: { time: number }, steps: number): void {
  onEvent({ type: "start", tensors: 2, parameters: 1000, files: ["/models/demo.gguf"] });
  onEvent({ type: "tensor:start", name: tensor, index: 0 });
  for (let step = 1; step <= steps; step++) {
    clock.time += 10_000 / steps;
    onEvent(progress((step * 1000) / steps));
  }
  onEvent({ type: "tensor:done", name: tensor, index: 0, finished: 1 });
  onEvent({ type: "output:done", files: ["/models/demo.gguf"], bytes: 290 });
  onEvent({ type: "done", report });
}

describe("PlainReporter", () => {
  it("writes a line at the start, at each tenth, and for each file", () => {
    const stream = new MemoryStream();
    const clock = { time: 0 };
    const reporter = new PlainReporter({
      stream,
      activity: "converting",
      measure: measuredInBytes(2_000_000),
      now: () => clock.time,
    });
    play((event) => reporter.onEvent(event), clock, 1000);
    reporter.close();
    expect(stream.lines).toHaveLength(12);
    expect(stream.lines[0]).toBe("converting 2 tensors");
    expect(stream.lines[5]).toBe(" 50.0%  1.00 MB of 2.00 MB  200 kB/s  ETA 5 s  blk.0.ffn_gate.weight");
    expect(stream.lines[10]).toBe("  100%  2.00 MB of 2.00 MB  200 kB/s  finishing  blk.0.ffn_gate.weight");
    expect(stream.lines[11]).toBe("wrote /models/demo.gguf (290 B)");
  });

  it("counts tokens where a model is run", () => {
    const stream = new MemoryStream();
    const clock = { time: 0 };
    const reporter = new PlainReporter({
      stream,
      activity: "calibrating on",
      measure: measuredInTokens(32_768),
      now: () => clock.time,
    });
    reporter.onEvent({ type: "start", tokens: 32_768, windows: 64, blocks: 4, resumed: 0, files: [] });
    for (let done = 1; done <= 10; done++) {
      clock.time += 1000;
      const block = Math.floor((done - 1) / 3);
      const place = `block ${block + 1} of 4`;
      reporter.onEvent({ type: "progress", place, block, pass: 0, passes: 1, done, total: 10 });
    }
    expect(stream.lines[0]).toBe("calibrating on 32,768 tokens");
    expect(stream.lines[5]).toBe(" 50.0%  16,384 of 32,768 tokens  3,277 tokens/s  ETA 5 s  block 2 of 4");
  });

  it("shows that it lives when a tenth takes long", () => {
    const stream = new MemoryStream();
    const clock = { time: 0 };
    const reporter = new PlainReporter({
      stream,
      activity: "converting",
      measure: measuredInBytes(2_000_000),
      now: () => clock.time,
    });
    for (let second = 1; second <= 90; second++) {
      clock.time = second * 1000;
      reporter.onEvent(progress(second, 100_000));
    }
    expect(stream.lines).toHaveLength(3);
    expect(stream.lines[2]).toContain("ETA 27 h 45 min");
  });

  it("never writes control characters that a file brought", () => {
    const stream = new MemoryStream();
    const reporter = new PlainReporter({
      stream,
      activity: "converting",
      measure: measuredInBytes(1),
      now: () => 0,
    });
    reporter.onEvent({ type: "output:done", files: ["/models/\u001b[31m.gguf", "b", "c"], bytes: 1 });
    expect(stream.text).toBe("wrote /models/\\u{1b}[31m.gguf and 2 more (1 B)\n");
  });
});

describe("JsonReporter", () => {
  it("writes events as lines of JSON, progress at most ten times a second, and always the last", () => {
    const stream = new MemoryStream();
    const clock = { time: 0 };
    const reporter = new JsonReporter({ stream, now: () => clock.time });
    play((event) => reporter.onEvent(event), clock, 5000);
    const records = stream.lines.map((line) => JSON.parse(line) as ConversionEvent);
    const updates = records.filter((record) => record.type === "progress");
    expect(records[0]).toEqual({
      type: "start",
      tensors: 2,
      parameters: 1000,
      files: ["/models/demo.gguf"],
    });
    expect(updates.length).toBeGreaterThan(50);
    expect(updates.length).toBeLessThanOrEqual(102);
    expect(updates.at(-1)).toMatchObject({ done: 1000, total: 1000 });
    expect(records.at(-1)).toEqual({ type: "output:done", files: ["/models/demo.gguf"], bytes: 290 });
  });
});

describe("TtyReporter", () => {
  it("draws one line over and over, and erases it at the end", () => {
    const stream = new MemoryStream({ isTTY: true, columns: 100 });
    const clock = { time: 0 };
    const reporter = new TtyReporter({
      stream,
      measure: measuredInBytes(2_000_000),
      style,
      now: () => clock.time,
    });
    play((event) => reporter.onEvent(event), clock, 5000);
    reporter.close();
    expect(stream.text).not.toContain("\n");
    const frames = stream.text.split("\r\u001b[2K");
    expect(frames.length).toBeGreaterThan(50);
    expect(frames.length).toBeLessThanOrEqual(104);
    expect(frames.at(-1)).toBe("");
    expect(frames.every((frame) => frame.length < 100)).toBe(true);
    expect(frames.find((frame) => frame.includes("50.0%"))).toBe(
      " 50.0%  ━━━━━━━━━━━━────────────  1.00 MB of 2.00 MB  200 kB/s  ETA 5 s  blk.0.ffn_gate.weight",
    );
  });
});

function wait(changes: Partial<NetworkWaitEvent> = {}): NetworkWaitEvent {
  return {
    type: "network:wait",
    file: "hf:org/name/model.safetensors",
    reason: "429 Too Many Requests",
    attempt: 2,
    attempts: 7,
    seconds: 42,
    elapsed: 0.1,
    ...changes,
  };
}

describe("WaitLines", () => {
  function told(
    events: readonly (readonly [time: number, event: NetworkWaitEvent])[],
    all = false,
  ): string[] {
    const stream = new MemoryStream();
    const clock = { time: 0 };
    const lines = new WaitLines({ stream, now: () => clock.time, all });
    for (const [time, event] of events) {
      clock.time = time;
      lines.onEvent(event);
    }
    return stream.lines;
  }

  it("says what failed, and when it is tried again", () => {
    expect(told([[0, wait()]])).toEqual([
      "hf:org/name/model.safetensors: 429 Too Many Requests; attempt 2 of 7 in 42 s",
    ]);
  });

  it("leaves out what is short, unless all is asked for or a request hung before", () => {
    const short = wait({ seconds: 0.4 });
    expect(told([[0, short]])).toEqual([]);
    expect(told([[0, short]], true)).toHaveLength(1);
    expect(told([[0, wait({ seconds: 0.4, elapsed: 30 })]])).toHaveLength(1);
  });

  it("writes one line for requests that wait together, and another when they go on waiting, or for longer", () => {
    const burst = (time: number, seconds: number) =>
      Array.from(
        { length: 8 },
        (_, index) => [time + index, wait({ seconds: seconds + index / 10 })] as const,
      );
    expect(told(burst(0, 10))).toHaveLength(1);
    expect(told([...burst(0, 10), ...burst(10_500, 10)])).toHaveLength(2);
    expect(told([...burst(0, 4), ...burst(100, 60)])).toHaveLength(2);
    expect(told([...burst(0, 10), [20, wait({ reason: "503" })]])).toHaveLength(2);
  });

  it("writes no more than a line a second for one reason", () => {
    const waits = Array.from(
      { length: 500 },
      (_, index) => [index * 10, wait({ seconds: 0.1, attempt: 3 })] as const,
    );
    expect(told(waits, true).length).toBeLessThanOrEqual(6);
  });

  it("never writes control characters that a server sent", () => {
    expect(told([[0, wait({ reason: "429 \u001b[31m" })]])[0]).toContain("\\u{1b}[31m");
  });
});

describe("progressLine", () => {
  const state = new Progress({ measure: measuredInBytes(16_060_000_000), startTime: 0 });
  state.update(progress(100), 5000);
  state.update(progress(123), 6000);

  it.each([20, 30, 40, 50, 60, 79, 99, 120, 200])("fits in %i columns", (width) => {
    expect(progressLine(state, width, style).length).toBeLessThanOrEqual(width);
  });

  it("leaves out the least important first", () => {
    expect(progressLine(state, 8, style)).toBe(" 12.3%");
    expect(progressLine(state, 30, style)).toBe(" 12.3%  1.98 GB of 16.1 GB");
    expect(progressLine(state, 46, style)).toBe(" 12.3%  1.98 GB of 16.1 GB  329 MB/s  ETA 43 s");
    expect(progressLine(state, 79, style)).toBe(
      " 12.3%  ━━─────────────────  1.98 GB of 16.1 GB  329 MB/s  ETA 43 s  blk.0…ight",
    );
  });

  it("says what is waited for, until something comes afterwards", () => {
    const waiting = new Progress({ measure: measuredInBytes(2_000_000), startTime: 0 });
    waiting.update(progress(100), 2000);
    waiting.update(wait({ seconds: 0.4 }), 2000);
    expect(waiting.waiting).toBe("");
    waiting.update(wait(), 2000);
    waiting.update(wait({ seconds: 30, reason: "503" }), 2000);
    expect(progressLine(waiting, 100, style)).toBe(
      ` 10.0%  ━━${"─".repeat(23)}  attempt 2 of 7 in 42 s, after 429 Too Many Requests`,
    );
    waiting.update(progress(150), 12_000);
    expect(waiting.waiting).toBe("attempt 2 of 7 in 32 s, after 429 Too Many Requests");
    waiting.tick(45_000);
    expect(waiting.waiting).toBe("attempt 2 of 7 after 429 Too Many Requests");
    for (const width of [20, 40, 60, 79]) {
      expect(progressLine(waiting, width, style).length).toBeLessThanOrEqual(width);
    }
    waiting.update(progress(200), 46_000);
    expect(progressLine(waiting, 120, style)).toContain("blk.0.ffn_gate.weight");
  });

  it("guesses neither rate nor time at the start", () => {
    const start = new Progress({ measure: measuredInBytes(2_000_000), startTime: 0 });
    start.update(progress(10), 20);
    expect(progressLine(start, 120, style)).toBe(
      `  1.0%  ${"─".repeat(30)}  20.0 kB of 2.00 MB  blk.0.ffn_gate.weight`,
    );
  });

  it("lets the estimate grow while nothing moves", () => {
    const stalled = new Progress({ measure: measuredInBytes(2_000_000), startTime: 0 });
    stalled.update(progress(100), 2000);
    const before = stalled.timeLeft;
    stalled.tick(10_000);
    expect(before).toBe("ETA 18 s");
    expect(stalled.timeLeft).toBe("ETA 1 min 30 s");
  });
});
