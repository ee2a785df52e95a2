export {
  answerStatus,
  everyNth,
  firstOf,
  ignoredRange,
  isWeights,
  resetMidBody,
  shortRange,
  slowTrickle,
} from "./faults.ts";
export { HubServer } from "./hub-server.ts";
export type { Exchange, Fault, SeenRequest } from "./hub-server.ts";
