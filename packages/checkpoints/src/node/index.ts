export { openCheckpointDirectory } from "./open-checkpoint-directory.ts";
