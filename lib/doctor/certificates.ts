// The domains of an app: their ports, their certificates, and whether those are renewed in time.
import { existsSync, statSync } from "node:fs";
import { readTls, tlsFile } from "../config/tls.ts";
import { byCommand, byHand, type Check, type Finding } from "../contracts/check.ts";
import type { App } from "../contracts/app.ts";
import { clockProblem } from "../domains/clock.ts";
import { caRoot, opensslProgram } from "../domains/internal.ts";
import { legoProgram } from "../domains/lego.ts";
import { leftWords, renewWords, timeLeft } from "../domains/late.ts";
import { certificateOf } from "../domains/pair.ts";
import { hostsOf, type DomainRow } from "../domains/report.ts";

const check: Check = {
  summary: "the domains and their certificates",
  async app(app) {
    if (app.server.domains.length === 0) return [];
    const rows = await hostsOf(app);
    const found = await Promise.all(rows.map((row) => findingsOf(app, row)));
    return [...(await ofServer(app, rows)), ...found.flat()];
  },
};
export default check;

async function ofServer(app: App, rows: readonly DomainRow[]): Promise<Finding[]> {
  const found: Finding[] = [];
  const edge = await app.front.edge?.();
  for (const port of edge ? [edge.http, edge.https] : [])
    if (port.error !== null) found.push(byHand("error", port.error, `ss -ltnp sport = :${port.port}`));
  if (!edge) found.push(byCommand("error", "the front does not listen for the domains", "reconcile", app.name));
  if (edge?.way === "node")
    found.push(
      byHand(
        "warning",
        "https goes by node:tls, which is slower: this Bun lacks what dp uses, or DP_RELAY_TLS=node is set",
        "dp help domains",
      ),
    );
  const problem = await clockProblem();
  if (problem !== null) found.push(byCommand("error", problem, "reconcile", app.name));
  if (rows.some(({ source }) => source === "acme") && legoProgram() === null)
    found.push(byHand("error", "lego is not installed: no certificate can be renewed", "apt-get install lego"));
  if (rows.some(({ source }) => source === "acme")) found.push(...(await ofKeys()));
  if (rows.some(({ source }) => source === "internal")) found.push(...(await ofOwnCa()));
  return found;
}

/** The files in which the owner has put keys. */
async function ofKeys(): Promise<Finding[]> {
  const { eab, dns } = await readTls();
  const files = [eab === undefined ? undefined : tlsFile(), dns?.env].filter((file) => file !== undefined);
  const open = files.filter((file) => existsSync(file) && (statSync(file).mode & 0o077) !== 0);
  return open.map((file) => byHand("warning", `${file} has a key and can be read by other users`, `chmod 600 ${file}`));
}

const YEAR = 365 * 24 * 3_600_000;

async function ofOwnCa(): Promise<Finding[]> {
  if (opensslProgram() === null)
    return [byHand("error", "openssl is not installed: dp's own CA renews nothing", "apt-get install openssl")];
  const root = await caRoot();
  if (root === null || Date.parse(root.until) > Date.now() + YEAR) return [];
  const what = `the root of dp's own CA ends on ${root.until.slice(0, 10)}: make a new one`;
  return [byHand("warning", what, "dp help certificates")];
}

async function findingsOf({ name: app, front }: App, row: DomainRow): Promise<Finding[]> {
  const { name, source, error } = row;
  const certificate = await certificateOf(name);
  const command = renewWords(app, row);
  const why = error === null ? "" : `: ${error}`;
  if (certificate === null) return [byHand("warning", `${name} has no certificate yet${why}`, command)];
  const { left, isLate } = timeLeft(certificate, source);
  const what = `the certificate of ${name} ${leftWords(left)}`;
  if (left <= 0) return [byHand("error", `${what}${why}`, command)];
  const found: Finding[] = [];
  if (source === "file" && (error !== null || isLate)) found.push(byHand("warning", `${what}${why}`, command));
  else if (source !== "file" && (error !== null || isLate))
    found.push(byHand(isLate ? "error" : "warning", `${what}, and is not renewed${why}`, command));
  if ((await front.edge?.())?.certified.includes(name) === false)
    found.push(byHand("error", `the front does not use the certificate of ${name}`, command));
  return found;
}
