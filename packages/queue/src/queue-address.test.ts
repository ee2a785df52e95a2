import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { parseQueueAddress } from "./queue-address.ts";

describe("parseQueueAddress", () => {
  it.each([
    ["redis://host", { host: "host", port: 6379, db: 0 }, "redis://host:6379/0"],
    ["redis://host:7000/3", { host: "host", port: 7000, db: 3 }, "redis://host:7000/3"],
    ["rediss://[::1]:7000", { host: "::1", port: 7000, db: 0, tls: {} }, "rediss://[::1]:7000/0"],
    [
      "redis://us%40er:p%2Fw@host/1",
      { host: "host", port: 6379, db: 1, username: "us@er", password: "p/w" },
      "redis://host:6379/1",
    ],
  ])("reads %s", (text, options, name) => {
    const address = parseQueueAddress(text);
    expect(address.clientOptions()).toEqual(options);
    expect(address.name).toBe(name);
  });

  it("takes a password from elsewhere where the address has none", () => {
    const options = { password: "elsewhere" };
    expect(parseQueueAddress("redis://host", options).clientOptions().password).toBe("elsewhere");
    expect(parseQueueAddress("redis://:own@host", options).clientOptions().password).toBe("own");
  });

  it.each([
    "secret",
    "http://:secret@host",
    "redis://:secret@",
    "redis://:secret@host/one",
    "redis://:secret@host/0?secret",
    "redis://:secret%ff@host",
    "redis://:secret@host:99999",
  ])("refuses %s without repeating it", (text) => {
    let error: unknown;
    try {
      parseQueueAddress(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "QUEUE_ADDRESS_INVALID" });
    expect(inspect(error, { depth: 5 })).not.toContain("secret");
  });

  it("shows no secret of itself, and takes it out of texts", () => {
    const address = parseQueueAddress("redis://user:se%2Fcret@host");
    expect(`${inspect(address, { depth: 5, showHidden: true })}${JSON.stringify(address)}`).not.toMatch(
      /se.*cret/,
    );
    expect(address.withoutSecrets("AUTH se/cret and se%2Fcret failed")).toBe("AUTH *** and *** failed");
  });
});
