// The login of keys: its files and user as dp makes them, nothing else that runs as it, and what sshd and sudo say.
import { accountDrift, hasAccount, setUpAccount } from "../access/account.ts";
import { authorizedKeys } from "../access/authorized-keys.ts";
import { changeHolders } from "../access/change.ts";
import { holders } from "../access/keys-file.ts";
import { authorizedKeysFile, gateFile, LOGIN, shellFile } from "../access/places.ts";
import { obstacles } from "../access/sshd.ts";
import { byHand, type Check, type Finding } from "../contracts/check.ts";
import { readText } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { accountNamed } from "../host/passwd.ts";
import { program } from "../host/process/privilege.ts";
import { argumentsOf, processName, userOf } from "../host/process/process.ts";
import { allPids } from "../host/process/proc.ts";
import { shown } from "../text/text.ts";

const check: Check = {
  summary: "the login of keys, sshd and sudo",
  async server(io) {
    if (!hasAccount()) return [];
    return [
      ...(await fileFindings(io)),
      ...processFindings(),
      ...(await sudoFindings(io)),
      ...(await sshdFindings(io)),
    ];
  },
};
export default check;

async function fileFindings(io: Io): Promise<Finding[]> {
  const mend = async () => {
    const changes = await setUpAccount(io);
    await changeHolders(() => undefined);
    return changes.join("; ") || `wrote ${authorizedKeysFile()}`;
  };
  const drift = await accountDrift();
  // What somebody else made stands in the way of the rest.
  const fix = drift.some(({ kind }) => kind === "foreign") ? {} : { fix: mend };
  const findings = drift.map(({ kind, what, path }): Finding => {
    if (kind === "foreign") return byHand("error", what, path);
    return { severity: "error", what, command: "dp doctor --fix", ...fix };
  });
  // Throws when keys.json is damaged: that is a finding of its own.
  const wanted = authorizedKeys(await holders());
  if ((await readText(authorizedKeysFile())) === wanted) return findings;
  const what = `${authorizedKeysFile()} is not what keys.json says: somebody edited it by hand`;
  return [...findings, { severity: "error", what, command: "dp doctor --fix", ...fix }];
}

// What sshd, pam and the way to the gate start as dp.
const OWN = new Set(["sshd", "sshd-session", "sudo", "systemd", "(sd-pam)", "dbus-daemon"]);

/** Whoever runs as dp may come in under every name. */
function processFindings(): Finding[] {
  const uid = accountNamed(LOGIN)?.uid;
  if (uid === undefined) return [];
  const isOwn = (pid: number) => OWN.has(processName(pid) ?? "sshd") || argumentsOf(pid).includes(shellFile());
  const foreign = allPids().filter((pid) => userOf(pid) === uid && !isOwn(pid));
  return foreign.map((pid) => {
    const what = `process ${pid}, ${shown(processName(pid) ?? "")}, runs as ${LOGIN}: whoever is ${LOGIN} is every key`;
    return byHand("error", what, `ps -fp ${pid}, and kill ${pid}`);
  });
}

/** What sudo says to dp: an error, or a warning that every command by a key would show. */
async function sudoFindings(io: Io): Promise<Finding[]> {
  if (accountNamed(LOGIN) === null) return [];
  const as = [program("setpriv"), `--reuid=${LOGIN}`, `--regid=${LOGIN}`, "--init-groups", "--reset-env", "--"];
  const { code, text } = await io.run([...as, program("sudo"), "-n", "-l", gateFile()], { check: false, quiet: true });
  const said = shown(
    text
      .split("\n")
      .filter((line) => line.trim() !== gateFile())
      .join("; "),
  );
  if (code !== 0) {
    const hint = "visudo: /etc/sudoers must end with @includedir /etc/sudoers.d";
    return [byHand("error", `sudo does not let ${LOGIN} start ${gateFile()}: ${said || `exit code ${code}`}`, hint)];
  }
  const isHost = said.includes("unable to resolve host");
  const cure = isHost ? 'echo "127.0.1.1 $(hostname)" >> /etc/hosts' : `visudo -c`;
  return said === "" ? [] : [byHand("warning", `sudo says at every command of a key: ${said}`, cure)];
}

async function sshdFindings(io: Io): Promise<Finding[]> {
  return (await obstacles(io)).map(({ what, line }) =>
    byHand("error", `sshd refuses keys: ${what}`, `in /etc/ssh/sshd_config: ${line}; then: systemctl reload ssh`),
  );
}
