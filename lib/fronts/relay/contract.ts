// Tries what Bun's TLS sockets do and its documentation does not promise: the callbacks for the client's name and ALPN.
import { SECURE_OPTIONS } from "./secure.ts";

const NAME = "contract.invalid";
const PATIENCE = 2_000;

let result: Promise<boolean> | null = null;

/** An owner can do without: `systemctl edit dp-relay`. */
const isUnwanted = process.env["DP_RELAY_TLS"] === "node";

/** Whether this Bun asks for the certificate of the name that a client has sent. Tried once, over loopback. */
export const keepsContract = (): Promise<boolean> => (result ??= isUnwanted ? Promise.resolve(false) : tryContract());

async function tryContract(): Promise<boolean> {
  const asked = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => asked.resolve(false), PATIENCE);
  const handlers = {
    data() {},
    error() {},
    // Without a certificate the handshake fails after the question, which is all that is tried here.
    serverName: (_: unknown, name: string) => void asked.resolve(name === NAME),
  };
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, tls: SECURE_OPTIONS, socket: handlers });
  const client = Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    tls: { serverName: NAME },
    socket: { data() {}, error() {}, handshake() {} },
  }).catch(() => null);
  try {
    return await asked.promise;
  } finally {
    clearTimeout(timer);
    (await client)?.terminate();
    listener.stop(true);
  }
}
