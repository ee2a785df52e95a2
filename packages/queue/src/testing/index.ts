export { freePort, redisProgram, RedisServer } from "./redis-server.ts";
