export { commitFiles } from "./commit-files.ts";
export type { CommitEvent, CommitFilesParams, CommittedFiles, FileToCommit } from "./commit-files.ts";
export { checkWriter, createRepository } from "./create-repository.ts";
export { findPullRequests } from "./find-pull-requests.ts";
export type { PullRequest } from "./find-pull-requests.ts";
export { hashFile } from "./hash-file.ts";
export type { FileHashes } from "./hash-file.ts";
