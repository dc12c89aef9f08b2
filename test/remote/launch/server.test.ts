// The server of a launch as it is typed, and the git remote that leads to an app there.
import { expect, test } from "bun:test";
import { DpError } from "../../../lib/errors.ts";
import { placeOf } from "../../../lib/remote/address.ts";
import { urlFor } from "../../../lib/remote/launch/remote.ts";
import { serverOf } from "../../../lib/remote/launch/server.ts";

test.each([
  ["root@203.0.113.5", "ssh://root@203.0.113.5/var/repos/shop.git", "dp@203.0.113.5:shop"],
  ["root@shop.example:2222", "ssh://root@shop.example:2222/var/repos/shop.git", "ssh://dp@shop.example:2222/shop"],
  ["alias", "ssh://alias/var/repos/shop.git", "dp@alias:shop"],
  ["me@2001:db8::5", "ssh://me@[2001:db8::5]/var/repos/shop.git", "ssh://dp@[2001:db8::5]/shop"],
  ["me@[2001:db8::5]:2222", "ssh://me@[2001:db8::5]:2222/var/repos/shop.git", "ssh://dp@[2001:db8::5]:2222/shop"],
])("%s is reached as root at %s, and as dp at %s", (typed, root, gate) => {
  const server = serverOf(typed);
  expect([urlFor("shop", server, false), urlFor("shop", server, true)]).toEqual([root, gate]);
  // The client finds the same server in them.
  for (const url of [root, gate])
    expect(placeOf(url)).toMatchObject({
      app: "shop",
      server: { host: server.host, ...(server.port && { port: server.port }) },
    });
});

test.each([
  ["-oProxyCommand=x"],
  ["root@-oProxyCommand=x"],
  ["-l@host"],
  ["a b"],
  ["host;id"],
  ["$(id)"],
  ["host/path"],
  ["root@"],
  [""],
  ["host:0"],
  ["host:65536"],
  ["ssh://root@host"],
  ["a@b@c"],
  ["host\n"],
])("%j is no server", (typed) => {
  expect(() => serverOf(typed)).toThrow(DpError);
});
