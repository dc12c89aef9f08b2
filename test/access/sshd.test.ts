// What of sshd's settings keeps the login of keys out, and the line that mends it.
import { expect, test } from "bun:test";
import { obstaclesIn } from "../../lib/access/sshd.ts";

const settings = (...lines: string[]) => {
  const found = new Map<string, string[]>();
  for (const line of lines) {
    const [keyword = "", ...values] = line.split(" ");
    found.set(keyword, [...(found.get(keyword) ?? []), ...values]);
  }
  return found;
};

test.each([
  [["allowusers root"], ["AllowUsers root dp"]],
  [["allowusers root", "allowusers ann@10.*"], ["AllowUsers root ann@10.* dp"]],
  [["allowusers root", "allowusers d?"], []],
  [["allowusers dp@203.0.113.*"], []],
  [["allowgroups admins"], ["AllowGroups admins dp"]],
  [["allowgroups admins", "allowgroups dp"], []],
  [["denyusers bob", "denyusers *"], ["DenyUsers bob"]],
  [["denygroups dp"], ["no DenyGroups"]],
  [["pubkeyauthentication no"], ["PubkeyAuthentication yes"]],
  [["pubkeyauthentication yes", "authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2"], []],
  [["authorizedkeysfile %h/.ssh/authorized_keys"], []],
  [["authorizedkeysfile /etc/ssh/keys/%u"], ["AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys"]],
  [["authorizedkeysfile none"], ["AuthorizedKeysFile .ssh/authorized_keys"]],
  [["forcecommand internal-sftp"], ["Match User dp, ForceCommand none"]],
  [["forcecommand none", "authenticationmethods any"], []],
  [["authenticationmethods publickey,password publickey"], []],
  [["authenticationmethods publickey,password"], ["Match User dp, AuthenticationMethods publickey"]],
  [["usepam no"], []],
])("%j -> %j", (lines, expected) => {
  expect(obstaclesIn(settings(...lines), ["dp"]).map(({ line }) => line)).toEqual(expected);
});
