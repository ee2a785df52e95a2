import type { RedisOptions } from "ioredis";

/** How a client of Redis is made; answers come in the way that clients have by default. */
export type ClientOptions = Omit<RedisOptions, "replyMapping">;
