export type { Finding, FindingKind } from "./finding.ts";
export { rederive } from "./rederive.ts";
export type { Rederivation, RederiveParams } from "./rederivation.ts";
export { verifyFiles } from "./verify-files.ts";
export type { FileVerification } from "./verify-files.ts";
