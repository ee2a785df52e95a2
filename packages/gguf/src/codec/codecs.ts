import { arrayCodec, type CodecTable } from "./array-codec.ts";
import type { ValueCodec } from "./codec.ts";
import { NUMBER_CODECS } from "./number-codec.ts";
import { STRING_CODEC } from "./string-codec.ts";

const BY_NAME = new Map<string, ValueCodec>();
const BY_ID = new Map<number, ValueCodec>();

/** Codecs of all value types. */
export const CODECS: CodecTable = {
  byName: (name) => BY_NAME.get(name),
  byId: (id) => BY_ID.get(id),
};

for (const codec of [...NUMBER_CODECS, STRING_CODEC, arrayCodec(CODECS)]) {
  BY_NAME.set(codec.name, codec);
  BY_ID.set(codec.id, codec);
}
