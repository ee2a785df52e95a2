import { ggufArray, ggufScalar, type GgufValue } from "@quern/gguf";
import type { OutputRequest } from "@quern/pipeline";
import { expect, it } from "vitest";
import { conversionRequest, requestedOutput, shareOutput } from "./conversion-request.ts";
import { localPath, sharePath } from "./shared-path.ts";

const metadata = new Map<string, GgufValue>([
  ["a", ggufScalar("string", "text")],
  ["b", ggufScalar("uint64", 2n ** 64n - 1n)],
  ["c", ggufScalar("float32", -0)],
  ["d", ggufScalar("float64", Number.NaN)],
  ["e", ggufScalar("bool", false)],
  ["f", ggufArray("int64", [-1n, 5n])],
  ["g", ggufArray("string", ["1", ""])],
  ["h", ggufArray("array", [ggufArray("uint8", [1, 2]), ggufArray("float32", [0.1])])],
]);

function plain(value: GgufValue): unknown {
  return value.type === "array"
    ? [value.elements, Array.from(value, (inner) => (typeof inner === "object" ? plain(inner) : inner))]
    : [value.type, value.value];
}

it("tells other machines of outputs, whatever they are asked for", () => {
  const outputs: OutputRequest[] = [
    { type: "Q4_K_M" },
    {
      type: "Q2_K",
      path: "/here/out/a.gguf",
      flavour: "quantizer",
      intermediate: "F32",
      pure: true,
      tensorTypes: [{ pattern: "ffn_.*", type: "Q6_K" }],
      pruneLayers: [1, 2],
      metadata,
      split: { maxBytes: 1000, firstWithoutTensors: true },
    },
    { type: "F16", split: { fileOf: new Map([["a", 1]]) } },
  ];
  const request = {
    container: "gguf",
    model: { path: sharePath("/here/model", "/here") },
    outputs: outputs.map((output) => shareOutput(output, (path) => sharePath(path, "/here"))),
    directory: sharePath("/here", "/here"),
    measureErrors: false,
  };
  const received = conversionRequest.parse(JSON.parse(JSON.stringify(request)));
  const made = received.outputs.map((output) => requestedOutput(output, (path) => localPath(path, "/there")));
  const { metadata: madeMetadata, ...second } = made[1]!;
  expect(made[0]).toEqual(outputs[0]);
  expect(made[2]).toEqual(outputs[2]);
  expect({ ...second, metadata }).toEqual({ ...outputs[1], path: "/there/out/a.gguf" });
  expect(Array.from(madeMetadata!, ([key, value]) => [key, plain(value)])).toEqual(
    Array.from(metadata, ([key, value]) => [key, plain(value)]),
  );
});

it("refuses what no coordinator asks for", () => {
  const request = {
    container: "gguf",
    model: { path: { absolute: "/model" } },
    outputs: [{ type: "Q8_0" }],
    directory: { absolute: "/" },
    measureErrors: false,
  };
  expect(conversionRequest.safeParse(request).success).toBe(true);
  for (const change of [
    { model: { repository: "http://host/model" } },
    { outputs: [] },
    { directory: { belowRoot: "../.." } },
    { shell: "true" },
  ]) {
    expect(conversionRequest.safeParse({ ...request, ...change }).success).toBe(false);
  }
});
