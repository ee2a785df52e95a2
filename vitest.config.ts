import { defineConfig } from "vitest/config";

// Workspace packages resolve to their TypeScript sources, so tests need no build but that of the kernels.
export default defineConfig({
  resolve: { conditions: ["@quern/source"] },
  ssr: { resolve: { conditions: ["@quern/source"], externalConditions: ["@quern/source"] } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "apps/*/src/**/*.test.ts", "tools/**/*.test.ts"],
    // One fewer by default: but many tests wait for other processes, servers and disks.
    maxWorkers: "100%",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    tags: [
      {
        name: "kernels",
        description:
          "Compares what kernels compute with references or with files made otherwise: also run on the Wasm kernels.",
      },
    ],
  },
});
