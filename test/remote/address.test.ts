// Which URLs of git remotes lead to an app of a dp server, and to which.
import { describe, expect, test } from "bun:test";
import { placeOf } from "../../lib/remote/address.ts";

describe("leads to an app", () => {
  test.each([
    ["ssh://root@203.0.113.5/var/repos/shop.git", "root 203.0.113.5 - shop"],
    ["ssh://root@203.0.113.5:2222/var/repos/shop.git", "root 203.0.113.5 2222 shop"],
    ["ssh://203.0.113.5/var/repos/shop.git", "- 203.0.113.5 - shop"],
    ["ssh://root@[2001:db8::5]/var/repos/shop.git", "root 2001:db8::5 - shop"],
    ["ssh://root@[2001:db8::5]:2222/var/repos/shop.git", "root 2001:db8::5 2222 shop"],
    ["ssh://root@production/var/repos/shop.git", "root production - shop"],
    ["ssh://root@host:/var/repos/shop.git", "root host - shop"],
    ["git+ssh://root@host/var/repos/shop.git", "root host - shop"],
    ["ssh+git://root@host/var/repos/shop.git/", "root host - shop"],
    ["ssh://root@host/var/repos/my%2Dshop.git", "root host - my-shop"],
    ["root@203.0.113.5:/var/repos/shop.git", "root 203.0.113.5 - shop"],
    ["production:/var/repos/shop.git", "- production - shop"],
    ["root@host:/var/repos/shop", "root host - shop"],
    ["[host:2222]:/var/repos/shop.git", "- host 2222 shop"],
    ["[root@host:2222]:/var/repos/shop.git", "root host 2222 shop"],
    ["root@[2001:db8::5]:/var/repos/shop.git", "root 2001:db8::5 - shop"],
    ["[::1]:/var/repos/shop.git", "- ::1 - shop"],
    ["dp@203.0.113.5:shop", "dp 203.0.113.5 - shop"],
    ["dp@203.0.113.5:shop.git", "dp 203.0.113.5 - shop"],
    ["dp@host:/var/repos/shop.git", "dp host - shop"],
    ["ssh://dp@host/shop", "dp host - shop"],
    ["ssh://dp@host:2222/shop.git", "dp host 2222 shop"],
    // Refused before ssh starts, by name.
    ["ssh://-oProxyCommand=touch%20x/var/repos/shop.git", "- -oProxyCommand=touch x - shop"],
    ["-oProxyCommand=x:/var/repos/shop.git", "- -oProxyCommand=x - shop"],
  ])("%s", (url, wanted) => {
    const { server, app } = placeOf(url)!;
    expect(`${server.user ?? "-"} ${server.host} ${server.port ?? "-"} ${app}`).toBe(wanted);
  });
});

describe("leads elsewhere", () => {
  test.each([
    "git@github.com:me/shop.git",
    "git@github.com:shop.git",
    "https://github.com/me/shop.git",
    "https://dp@host/shop",
    "https://host/var/repos/shop.git",
    "file:///var/repos/shop.git",
    "/var/repos/shop.git",
    "../repos/shop.git",
    "./root@host:/var/repos/shop.git",
    "ext::ssh root@host:/var/repos/shop.git",
    "root@host:var/repos/shop.git",
    "root@host:/srv/repos/shop.git",
    "root@host:/var/repos/../../etc/shop.git",
    "root@host:/var/repos/a/shop.git",
    "root@host:/var/repos/Shop.git",
    "root@host:/var/repos/.git",
    "dp@host:me/shop",
    "dp@host:~/shop",
    "ssh://dp@host/~/shop",
    "ssh://root@host:0/var/repos/shop.git",
    "ssh://root@host:99999/var/repos/shop.git",
    "ssh://root@host:22x/var/repos/shop.git",
    "ssh://root@/var/repos/shop.git",
    "ssh://root@host/var/repos/%zz.git",
    "",
    "production",
  ])("%j", (url) => {
    expect(placeOf(url)).toBeNull();
  });
});
