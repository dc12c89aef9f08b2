// The command about the domains of an app: domains.
import type { CAC } from "cac";
import { answer, byKey, given, HIDDEN, json, print, textOf, warn, type Options } from "./arguments.ts";
import { DpError } from "../errors.ts";
import { say } from "../text/say.ts";
import { didYouMean } from "../text/suggestion.ts";

const ACTIONS = ["list", "add", "remove", "clear", "renew", "cert", "ca"] as const;

export function declareDomainsCommand(cli: CAC): void {
  cli
    .command(
      "domains <app> [action] [...names]",
      "Show or change the domains: list, add, remove, clear, renew, cert, ca",
      // Who is let in by a key takes no name of another app, and reads no file of the server as a certificate.
      byKey(({ words: [, action = "list"] }) => (action === "list" ? "view" : null)),
    )
    .option("--redirect <name>", "With add: redirect the clients to that domain of the app")
    .option("--strip-prefix", "With add NAME/PATH: the app gets its requests without the path")
    .option("--internal", "With add: certificates of dp's own CA, for names such as shop.lan")
    .option("--force", "Order although the name does not seem to lead here")
    .option("--cert <file>", "With cert: the certificate with its chain, PEM; - for stdin")
    .option("--key <file>", "With cert: its private key, PEM; - for stdin")
    .option("--auto", "With cert: go back to certificates that dp orders")
    .option("--json", "As JSON")
    .usage(
      `domains <app>                      certificate, until when, what is wrong
  $ dp domains <app> add NAME ...         with its certificate
  $ dp domains <app> add NAME --redirect MAIN
  $ dp domains <app> add NAME/PATH        only a path; another app may have the rest
  $ dp domains <app> remove NAME ...      clear removes all
  $ dp domains <app> renew [NAME]         now; dp does it in time by itself
  $ dp domains <app> cert NAME --cert FILE --key FILE
  $ dp domains ca                         the root of dp's own CA, and how to trust it`,
    )
    .action(async (app: string, action: string | undefined, names: string[], options: Options) => {
      if (action === "ca" || (action === undefined && app === "ca" && !(await isThere(app)))) return tellRoot(options);
      const { domainLines } = await import("../commands/domains.ts");
      const rows = await changed(app, action ?? "list", names, options);
      const isListed = (action ?? "list") === "list";
      answer(options, rows, () => (isListed ? domainLines(app, rows) : []));
    });

  cli.command("certificates", HIDDEN, byKey(null)).action(async () => {
    const { renewAll } = await import("../commands/domains.ts");
    await renewAll(print);
  });
}

const isThere = async (app: string) => (await (await import("../config/server.ts")).appNames()).includes(app);

/** The root on stdout, for a file; how to trust it on stderr. */
async function tellRoot(options: Options): Promise<void> {
  const { rootOfCa, trustLines } = await import("../commands/own-ca.ts");
  const root = await rootOfCa();
  if (options["json"]) return json(root);
  root.certificate.split("\n").forEach(print);
  trustLines(root).forEach(say);
}

async function changed(app: string, action: string, names: string[], options: Options) {
  const commands = await import("../commands/domains.ts");
  const { makeIo } = await import("../host/io.ts");
  const io = makeIo({ info: options["json"] ? warn : print, warn, output: (line) => warn(`| ${line}`) });
  const isForced = options["force"] === true;
  switch (action) {
    case "list":
      return commands.domains(app);
    case "add":
      return commands.addNames(app, names, addWishes(options), io);
    case "remove":
      return commands.removeNames(app, names, io);
    case "clear": {
      const all = (await commands.domains(app)).map(({ name, path }) => `${name}${path ?? ""}`);
      return all.length === 0 ? [] : commands.removeNames(app, all, io);
    }
    case "renew":
      return commands.renewNames(app, atMostOne(names), isForced, io);
    case "cert": {
      const name = atMostOne(names);
      if (name === undefined) throw new DpError("usage", "which domain?", { hint: `dp domains ${app} cert NAME` });
      if (options["auto"] === true) return commands.useAutomatic(app, name, io);
      return commands.useFiles(app, name, await pems(app, name, options), io);
    }
  }
  throw new DpError("usage", `unknown action ${JSON.stringify(action)}; the actions are ${ACTIONS.join(", ")}`, {
    hint: "dp domains --help",
    ...didYouMean(action, ACTIONS),
  });
}

const addWishes = (options: Options) => ({
  isForced: options["force"] === true,
  isInternal: options["internal"] === true,
  isStripped: options["stripPrefix"] === true,
  ...given("redirect", textOf(options, "redirect")),
});

function atMostOne(names: readonly string[]): string | undefined {
  if (names.length > 1) throw new DpError("usage", "one domain at a time", { hint: "dp domains --help" });
  return names[0];
}

async function pems(app: string, name: string, options: Options): Promise<{ cert: string; key: string }> {
  const [cert, key] = [textOf(options, "cert"), textOf(options, "key")];
  if (cert === undefined || key === undefined)
    throw new DpError("usage", "dp domains cert needs --cert FILE and --key FILE, or --auto", {
      hint: `dp domains ${app} cert ${name} --cert fullchain.pem --key privkey.pem`,
    });
  const stdin = cert === "-" || key === "-" ? await Bun.stdin.text() : "";
  return { cert: cert === "-" ? stdin : await textIn(cert), key: key === "-" ? stdin : await textIn(key) };
}

async function textIn(file: string): Promise<string> {
  const { readText } = await import("../host/files.ts");
  const text = await readText(file);
  if (text === null) throw new DpError("usage", `${file} does not exist`);
  return text;
}
