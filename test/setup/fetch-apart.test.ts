// Which words ssh gets for an address, as git would make them; nothing else of an address reaches a program.
import { expect, test } from "bun:test";
import { sshWords } from "../../lib/setup/fetch-apart.ts";

test.each([
  ["ssh://git@host/team/a.git", ["git@host", "git-upload-pack '/team/a.git'"]],
  ["ssh://host:2222/a.git", ["-p", "2222", "host", "git-upload-pack '/a.git'"]],
  ["ssh://git@host/~me/a.git", ["git@host", "git-upload-pack '~me/a.git'"]],
  ["git+ssh://host/a", ["host", "git-upload-pack '/a'"]],
  ["ssh://git@[2001:db8::1]:22/a", ["-p", "22", "git@2001:db8::1", "git-upload-pack '/a'"]],
  ["git@host:team/a.git", ["git@host", "git-upload-pack 'team/a.git'"]],
  ["host:a'b", ["host", "git-upload-pack 'a'\\''b'"]],
])("%s", (url, words) => {
  expect(sshWords(url)).toEqual(words);
});

test.each([
  "ext::sh -c touch% /tmp/never",
  "-oProxyCommand=id:a",
  "ssh://-oProxyCommand=id/a",
  "ssh://me@-x/a",
  "ssh://host:99999999/a",
  "ssh://host",
  "fd::0",
  "file:///a",
  "rsync://host/a",
  "--upload-pack=id",
])("%s is none of ssh's", (url) => {
  expect(sshWords(url)).toBe(null);
});
