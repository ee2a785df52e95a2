export { freePort, redisHasTls, redisProgram, RedisServer } from "./redis-server.ts";
export type { RedisServerOptions } from "./redis-server.ts";
