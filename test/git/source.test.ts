// Which addresses a commit may name, and what relative ones amount to.
import { expect, test } from "bun:test";
import { fetchable } from "../../lib/git/source.ts";

test.each([
  ["https://host/lib.git", null, "https://host/lib.git"],
  ["http://[::1]:8080/lib", null, "http://[::1]:8080/lib"],
  ["git://host/lib", null, "git://host/lib"],
  ["ssh://git@host:22/lib", null, "ssh://git@host:22/lib"],
  ["git@host:group/lib.git", null, "git@host:group/lib.git"],
  ["../lib.git", "https://host/group/app.git", "https://host/group/lib.git"],
  ["../../other/lib", "https://host/group/app/", "https://host/other/lib"],
  ["./sub", "ssh://host/app", "ssh://host/app/sub"],
  ["../lib", "git@host:group/app", "git@host:group/lib"],
  ["../lib", "git@host:app", "git@host:lib"],
])("%j, seen from %j, is %j", (url, base, whole) => expect(fetchable(url, base)).toBe(whole));

test.each([
  ["file:///srv/lib", null],
  ["/srv/lib", null],
  ["lib", null],
  ["", null],
  ["ext::sh -c id", null],
  ["ext::sh%20-c%20id", null],
  ["ftp://host/lib", null],
  ["-oProxyCommand=id:lib", null],
  ["--upload-pack=id", null],
  ["ssh://-oProxyCommand=id/lib", null],
  ["git@-oProxyCommand=id:lib", null],
  ["https://host/a b", null],
  ["https://host/\nfile:///x", null],
  ["../lib", null],
  ["../lib", "/srv/git/app.git"],
  ["../lib", "file:///srv/git/app.git"],
  ["../../../lib", "https://host/app.git"],
])("%j, seen from %j, is nothing that is fetched", (url, base) => expect(fetchable(url, base)).toBeNull());
