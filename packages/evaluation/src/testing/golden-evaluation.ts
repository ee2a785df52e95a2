import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openModel } from "@quern/checkpoints/node";
import { ggufTokenizer, type TextSource, textSource } from "@quern/corpus";
import { describeSource } from "@quern/models";
import { bytesSource } from "@quern/tensor";
import type { EvaluationInput } from "../planning/evaluation-plan.ts";

/** Path of something in the repository. */
export function repositoryPath(path: string): string {
  return fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
}

/** Checkpoints of the fixtures by their names; "demo" is the trained example. */
export function checkpointPath(name: string): string {
  return repositoryPath(name === "demo" ? "examples/quern-demo" : `fixtures/golden/${name}/checkpoint`);
}

/** A model whose texts are read as llama.cpp reads them. */
export async function openInput(path: string): Promise<EvaluationInput> {
  const source = await openModel(path);
  const description = await describeSource(source);
  const metadata = description.metadata({ fileType: 0 });
  return { source, tokenizer: ggufTokenizer({ name: source.name, metadata }) };
}

/** The text of the fixtures. */
export function fixtureText(): Promise<string> {
  return readFile(repositoryPath("fixtures/evaluation/text.txt"), "utf8");
}

/** A text by its name. */
export function textNamed(name: string, text: string): TextSource {
  return textSource({ source: bytesSource({ bytes: new TextEncoder().encode(text), name }) });
}
