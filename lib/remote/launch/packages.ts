// The step `packages` of `dp launch`: what dp and the app's type need of the system, installed by apt.
import { DpError } from "../../errors.ts";
import { failed, script, type Hands } from "./hands.ts";
import type { Found, Packages } from "./reach.ts";

/** What every server needs. */
const ALWAYS: Packages = {
  git: "command -v git",
  "ca-certificates": "test -s /etc/ssl/certs/ca-certificates.crt",
};
/** What install.sh fetches Bun with, where the one that runs here is for another kind of machine. */
const FETCHING: Packages = { curl: "command -v curl || command -v npm", unzip: "command -v unzip || command -v npm" };

/** The packages to ask the server for; `ofType`: what apps of the type need. */
export const wantedPackages = (ofType: Packages = {}): Packages => ({ ...ALWAYS, ...ofType, ...FETCHING });

/** Of those, the ones to install; `sendsBun`: nothing has to be fetched. */
export const packagesToInstall = ({ missing }: Found, sendsBun: boolean): string[] =>
  sendsBun ? missing.filter((name) => !(name in FETCHING)) : [...missing];

// A new server upgrades itself at its first boot, and holds apt's locks for minutes. apt waits for the one of dpkg; for
// the one of the lists this does. A list that cannot be fetched need not matter: apt-get install says what is missing.
const INSTALL = `
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C
end=$(($(date +%s) + 300))
until said=$(apt-get update 2>&1); do
    case $said in *"Could not get lock"*) ;; *) break ;; esac
    [ "$(date +%s)" -lt $end ] || break
    sleep 2
done
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" || { code=$?; echo "$said"; exit $code; }`;

/** Installs packages. Throws DpError "host" where there is no apt, or it fails. */
export async function installPackages(hands: Hands, found: Found, names: readonly string[]): Promise<string> {
  if (names.length === 0) return "all there";
  const { host } = hands.ssh.server;
  if (!found.hasApt)
    throw new DpError("host", `${host} (${found.system}) has no apt, and lacks what dp needs: ${names.join(", ")}`, {
      hint: "install these as that system does it, and type dp launch again",
    });
  const answer = await hands.change(script(INSTALL, ...names));
  if (answer !== null && answer.code !== 0)
    throw failed(`apt could not install ${names.join(", ")} on ${host}`, answer, "host", `ssh ${hands.ssh.name}`);
  return `${answer === null ? "would install" : "installed"} ${names.join(", ")}`;
}
