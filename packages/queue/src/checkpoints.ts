export { shareCheckpoint } from "./share-checkpoint.ts";
