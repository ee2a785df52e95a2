export { answerFile, answerJson, refuse } from "./answers.ts";
export type { Exchange, Fault, Host, Pace, Route, SeenRequest } from "./exchange.ts";
export {
  answerStatus,
  everyNth,
  firstOf,
  ignoredRange,
  isWeights,
  resetMidBody,
  shortRange,
  slowTrickle,
  truncatedGzip,
} from "./faults.ts";
export { HubServer } from "./hub-server.ts";
export { refusalOf, repositoryOf } from "./reading-routes.ts";
export {
  fileContent,
  filesOfFolder,
  gitHash,
  memoryContent,
  sha256,
  storedFile,
  StoredRepository,
} from "./stored-repository.ts";
export type { Content, StoredCommit, StoredFile } from "./stored-repository.ts";
export { finishLate, hangUpOnceDone, isCommit, isUpload, loseAnswer, resetUpload } from "./upload-faults.ts";
export { UploadStore } from "./upload-store.ts";
export { writingRoutes } from "./writing-routes.ts";
