// /etc/dp/tls.yml: how this server gets certificates, and the ports of its domains. Every key is optional.
import * as v from "valibot";
import { readText } from "../host/files.ts";
import { root } from "../paths.ts";
import { claim, mapping, text, whole } from "./field.ts";
import { parse } from "./parse.ts";

/** An address to listen on. */
export interface Address {
  host: string;
  port: number;
}

/** The two ports of all domains, for the whole server. */
export interface Edge {
  http: Address;
  https: Address;
  /** The ports by which clients reach them: others than those listened on when a router forwards them. */
  public: { http: number; https: number };
  /** The folder with a folder for each name: its key and certificate. */
  certificates: string;
  /** The folder with the answers to the challenges of a CA. */
  challenges: string;
}

/** The server's settings for certificates. */
export interface TlsSettings {
  /** The account's address at the CA. */
  email?: string;
  /** The URL of the CA's ACME directory. */
  directory: string;
  /** A PEM file with the root that vouches for the directory; missing: the system's roots. */
  directoryCa?: string;
  eab?: { kid: string; key: string };
  http: Address;
  https: Address;
  public: { http: number; https: number };
  /** The DNS server that dp asks; missing: the system's. */
  resolver?: string;
  /**
   * How DNS challenges are answered: lego's name of the provider, a file with its variables, and whether to wait until
   * all name servers of the zone have the answer.
   */
  dns?: { provider: string; env?: string; propagation: boolean };
}

export const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";

const address = (example: string) => {
  const pattern = /^(?:\[([0-9a-f:]+)\]|((?:\d{1,3}\.){3}\d{1,3})):(\d{1,5})$/;
  return v.pipe(
    text(pattern, `an address and a port such as "${example}"`),
    v.transform((value): Address => {
      const [, six, four, port] = pattern.exec(value)!;
      return { host: six ?? four!, port: Number(port) };
    }),
  );
};

const line = text(/^[\x21-\x7e]+$/, "one word");
const file = text(/^\/[^\x00-\x1f\x7f]*$/, "an absolute path");

const schema = mapping({
  email: v.exactOptional(text(/^[^\s@]+@[^\s@]+$/, "an address such as you@example.com")),
  directory: v.optional(text(/^https:\/\/[\x21-\x7e]+$/, "the https URL of an ACME directory"), LETS_ENCRYPT),
  directoryCa: v.exactOptional(file),
  eab: v.exactOptional(mapping({ kid: line, key: line })),
  http: v.optional(address("0.0.0.0:80"), "[::]:80"),
  https: v.optional(address("0.0.0.0:443"), "[::]:443"),
  public: v.optional(mapping({ http: v.optional(whole(1, 65535), 80), https: v.optional(whole(1, 65535), 443) }), {}),
  resolver: v.exactOptional(text(/^[0-9a-f.:[\]]+$/, "an address such as 192.0.2.53 or 127.0.0.1:5353")),
  dns: v.exactOptional(
    mapping({
      provider: text(/^[a-z0-9-]+$/, "the name that lego has for a provider, such as cloudflare"),
      env: v.exactOptional(file),
      propagation: v.optional(claim(), true),
    }),
  ),
});

/** The file. */
export const tlsFile = () => `${root()}/etc/dp/tls.yml`;

/** The folder of all that concerns certificates; only dp's own user can write there. */
export const tlsFolder = () => `${root()}/var/lib/dp/tls`;

/** The settings. Throws DpError "config" for a wrong file. */
export async function readTls(): Promise<TlsSettings> {
  const content = (await readText(tlsFile())) ?? "";
  return parse(schema, /^\s*[^#\s]/m.test(content) ? content : "{}", tlsFile());
}

/** What a front needs to serve domains. Throws DpError "config". */
export async function edgeSettings(): Promise<Edge> {
  const { http, https, public: reached } = await readTls();
  const folder = tlsFolder();
  return { http, https, public: reached, certificates: `${folder}/names`, challenges: `${folder}/challenges` };
}
