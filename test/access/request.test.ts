// What git clients ask for, and the environment in which it is answered.
import { describe, expect, test } from "bun:test";
import { environmentFor } from "../../lib/access/environment.ts";
import { appInPath, gitRequest } from "../../lib/access/request.ts";

test.each([
  [["git-receive-pack", "/shop.git"], { service: "receive-pack", path: "/shop.git" }],
  [["git", "receive-pack", "shop"], { service: "receive-pack", path: "shop" }],
  [["git-upload-pack", "shop.git"], { service: "upload-pack", path: "shop.git" }],
  [["git-receive-pack"], null],
  [["git-receive-pack", "--help"], { service: "receive-pack", path: "--help" }],
  [["git-receive-pack", "--stateless-rpc", "shop"], null],
  [["git-upload-archive", "shop"], null],
  [["git", "upload-archive", "shop"], null],
  [["git", "config", "shop"], null],
  [["git"], null],
  [["git-shell", "-c", "x"], null],
])("%j", (words, request) => {
  expect(gitRequest(words)).toEqual(request as never);
});

test.each(["shop", "shop.git", "/shop.git", "/var/repos/shop.git", "/shop"])("%s is shop", (path) => {
  expect(appInPath(path)).toBe("shop");
});

test.each([
  ...[
    "/var/repos/../../etc",
    "/var/repos/../repos/shop.git",
    "//shop.git",
    "~/shop",
    "./shop",
    "shop/",
    "shop.git/hooks",
  ],
  ...[
    "",
    ".git",
    "..",
    "--help",
    "-x",
    "root",
    "Shop",
    "shop\n",
    "shop.git.git",
    "/var/repos/",
    "/etc/shop.git",
    "shop\u0000",
  ],
])("%j is no app", (path) => {
  expect(appInPath(path)).toBeNull();
});

describe("the environment", () => {
  const good = {
    GIT_PROTOCOL: "version=2",
    LANG: "en_GB.UTF-8",
    SSH_CONNECTION: "203.0.113.5 50000 192.0.2.1 22",
    TERM: "xterm-256color",
  };
  const own = { PATH: expect.stringContaining("/usr/bin"), HOME: expect.any(String), DP_KEY: "ann" };

  test("has what a login may bring, and nothing else of it", () => {
    const before = { ...good, BUN_OPTIONS: "x", LD_PRELOAD: "x", DP_BY: "system", SUDO_USER: "dp", GIT_DIR: "/x" };
    expect(environmentFor("ann", before)).toEqual({ ...own, ...good });
  });

  test.each([
    ["GIT_PROTOCOL", "version=3"],
    ["GIT_PROTOCOL", "version=2:x"],
    ["TERM", "../../x"],
    ["TERM", "x\ny"],
    ["LANG", "$(id)"],
    ["SSH_CONNECTION", "root 1 2 3"],
    ["SSH_CONNECTION", "203.0.113.5 50000 192.0.2.1 22 more"],
  ])("has no %s=%s", (name, value) => {
    expect(environmentFor("ann", { ...good, [name]: value })).not.toHaveProperty(name);
  });
});
