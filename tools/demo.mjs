// What `npm start` shows: the little model of examples/quern-demo becomes a Q4_K_M GGUF file, and the real llama.cpp runs it.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main as quern } from "quern";

const type = "Q4_K_M";
const checkpoint = join("examples", "quern-demo");
const output = join("output", `quern-demo-${type}.gguf`);
const prompt = "The President of the United States has";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const argv = ["convert", checkpoint, "--type", type, "--output", output, "--force"];
console.log(`$ quern ${argv.join(" ")}\n`);
process.exitCode = await quern(argv);
if (process.exitCode === 0) await runInLlamaCpp(output);

/** Loads the file in llama.cpp and lets it go on from the prompt. */
async function runInLlamaCpp(path) {
  const library = await import("node-llama-cpp").catch(withoutLlamaCpp);
  if (library === undefined) return;
  const logLevel = library.LlamaLogLevel.error;
  const llama = await library
    .getLlama({ gpu: false, build: "never", logLevel, progressLogs: false })
    .catch(withoutLlamaCpp);
  if (llama === undefined) return;
  try {
    const started = performance.now();
    const model = await llama.loadModel({ modelPath: path });
    const milliseconds = Math.round(performance.now() - started);
    console.log(
      `\nllama.cpp ${llama.llamaCppRelease.release} loads the file in ${milliseconds} ms and goes on:\n`,
    );
    // One thread: the model is so small that more would only wait for each other.
    const context = await model.createContext({ contextSize: 256, threads: 1 });
    const completion = new library.LlamaCompletion({ contextSequence: context.getSequence() });
    const text = await completion.generateCompletion(prompt, {
      maxTokens: 48,
      temperature: 0,
      repeatPenalty: { penalty: 1.2 },
    });
    console.log(`  ${prompt} >${text.replaceAll(/\s+/g, " ")} ...\n`);
    console.log("(It has 2.9 million parameters: do not ask it for sense.)");
  } finally {
    await llama.dispose();
  }
}

function withoutLlamaCpp(error) {
  console.log(`\nllama.cpp does not run on this machine, so the file is not tried out: ${error.message}`);
  return undefined;
}
