import { expect, it } from "vitest";
import { runRequest } from "./run-request.ts";

const request = {
  container: "safetensors",
  model: { path: { belowRoot: "model" } },
  origin: {
    tool: { name: "quern", version: "1.0.0" },
    source: { kind: "checkpoint", name: "model", files: [{ name: "model.safetensors", bytes: 100 }] },
    recipe: { container: "safetensors", recipe: { name: "bnb-nf4" }, maxShardSize: 1e9 },
  },
  folder: { belowRoot: "out/model" },
  statistics: { belowRoot: "statistics.safetensors" },
  baseModel: "org/model",
};

it("reads what a coordinator asks for", () => {
  expect(runRequest.parse(JSON.parse(JSON.stringify(request)))).toEqual(request);
});

it.each([
  ["of another container", { container: "npz" }],
  ["of GGUF with the rest of a folder", { container: "gguf" }],
  ["with a model that is read from elsewhere", { model: { repository: "http://host/model" } }],
  ["with a folder that leaves the root", { folder: { belowRoot: "../out" } }],
  ["with statistics that leave the root", { statistics: { belowRoot: "a/../../b" } }],
  ["without a recipe", { origin: { ...request.origin, recipe: { container: "safetensors" } } }],
  [
    "with the origin of GGUF",
    {
      origin: {
        ...request.origin,
        recipe: { container: "gguf", type: "Q8_0", flavour: "quantizer", options: {} },
      },
    },
  ],
  [
    "with files of no bytes",
    { origin: { ...request.origin, recipe: { ...request.origin.recipe, maxShardSize: 0 } } },
  ],
  [
    "whose source has files elsewhere",
    {
      origin: {
        ...request.origin,
        source: { ...request.origin.source, files: [{ name: "/etc/x", bytes: 1 }] },
      },
    },
  ],
  ["with anything else", { shell: "true" }],
])("refuses a request %s", (_what, change) => {
  expect(runRequest.safeParse({ ...request, ...change }).success).toBe(false);
});
