// The step `domain` of `dp launch`: a name of the app with its certificate, before the push whose receipt names it.
import { isPrivate } from "../../config/domain-name.ts";
import type { DomainRow } from "../../domains/report.ts";
import { DP, failed, type Hands } from "./hands.ts";
import type { Packages } from "./reach.ts";

const LEGO = "command -v lego";

/** The programs that get the certificate of a name; one of a private network needs lego only where another CA is set. */
export const packagesFor = (name: string): Packages =>
  isPrivate(name)
    ? { openssl: "command -v openssl", lego: `${LEGO} || ! grep -qs '^directory:' /etc/dp/tls.yml` }
    : { lego: LEGO };

/**
 * Gives the app its domain. A name whose certificate cannot be had yet is kept, and tried again by the server. Throws
 * DpError with the exit code of `dp domains`.
 */
export async function addDomain(hands: Hands, app: string, name: string): Promise<string> {
  const there = hands.isDry ? undefined : rowOf((await hands.look([DP, "domains", app, "--json"])).stdout, name);
  if (there?.until != null && there.error === null) return `${name} is there, ${certificateOf(there)}`;
  const answer = await hands.change([DP, "domains", app, "add", name, "--json"]);
  if (answer === null) return `would add ${name}`;
  if (answer.code !== 0) throw failed(`${name} was not added to ${app} on ${hands.ssh.server.host}`, answer);
  const row = rowOf(answer.stdout, name);
  if (row?.until != null && row.error === null) return `${name}, ${certificateOf(row)}`;
  const why = row?.error ?? "the server does not say why";
  return `${name} is kept, and has no new certificate yet: ${why}; it is tried again by itself`;
}

const certificateOf = ({ issuer, until }: DomainRow) => `certificate of ${issuer}, until ${until?.slice(0, 10)}`;

function rowOf(json: string, name: string): DomainRow | undefined {
  try {
    return (JSON.parse(json) as DomainRow[]).find((row) => row.name === name);
  } catch {
    return undefined; // the app is not there yet
  }
}
