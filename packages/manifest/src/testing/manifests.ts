import fc from "fast-check";
import type { JsonObject, Manifest, ManifestTensor } from "../manifest.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.constantFrom(...Array.from("0123456789abcdef")),
    minLength: length,
    maxLength: length,
  });
const word = fc.string({ minLength: 1, maxLength: 12 });
const fileName = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}\.gguf$/);
/** No object read from JSON may have its prototype set: such a key is left out. */
const key = fc.string().filter((text) => text !== "__proto__");
const json = fc.object({ key, maxDepth: 2, values: [fc.string(), fc.integer(), fc.boolean()] });

/** Whatever a manifest can say. */
export const manifests: fc.Arbitrary<Manifest> = fc
  .record(
    {
      tool: fc.record({ name: word, version: word }),
      source: fc.record(
        {
          kind: fc.constantFrom("checkpoint" as const, "gguf" as const),
          name: word,
          repository: word,
          commit: hex(40),
          files: fc.array(
            fc.record(
              {
                name: fileName,
                bytes: fc.maxSafeNat(),
                sha256: hex(64),
                headerSha256: hex(64),
                gitHash: hex(40),
              },
              { requiredKeys: ["name", "bytes"] },
            ),
            { maxLength: 3 },
          ),
        },
        { requiredKeys: ["kind", "name", "files"] },
      ),
      recipe: fc.oneof(
        fc.record(
          {
            container: fc.constant("gguf" as const),
            type: word,
            flavour: fc.constantFrom("converter", "quantizer"),
            options: fc.record({ pure: fc.boolean(), pruneLayers: fc.array(fc.nat()) }, { requiredKeys: [] }),
            metadata: fc.array(fc.record({ key: word, type: word, value: fc.string() })),
            preTokenizer: word,
            rounding: fc.record({ method: fc.record({ name: word }) }),
          },
          { requiredKeys: ["container", "type", "flavour", "options"] },
        ),
        fc.record({
          container: fc.constant("safetensors" as const),
          recipe: json.map((value) => JSON.parse(JSON.stringify(value)) as JsonObject),
        }),
      ),
      calibration: fc.record(
        { kind: fc.constantFrom("importance" as const, "statistics" as const), file: word, sha256: hex(64) },
        { requiredKeys: ["kind"] },
      ),
      kernels: word,
      places: fc.uniqueArray(
        fc.record({
          name: fileName,
          headerBytes: fc.nat(1000),
          tensors: fc.array(fc.record({ gap: fc.nat(31), bytes: fc.nat(1000), type: word, sha256: hex(64) })),
          sha256: hex(64),
        }),
        { selector: ({ name }) => name, minLength: 1, maxLength: 4 },
      ),
    },
    { requiredKeys: ["tool", "source", "recipe", "places"] },
  )
  .map(({ places, ...rest }) => {
    const tensors: ManifestTensor[] = [];
    const files = places.map(({ name, headerBytes, tensors: own, sha256 }, file) => {
      let end = headerBytes;
      for (const { gap, bytes, ...tensor } of own) {
        const offset = end + gap;
        tensors.push({ ...tensor, name: `tensor.${tensors.length}`, file, shape: [bytes], offset, bytes });
        end = offset + bytes;
      }
      return { name, bytes: end, sha256, header: { bytes: headerBytes, sha256 } };
    });
    return { ...rest, files, tensors };
  });
