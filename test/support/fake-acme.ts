// A CA that only refuses, for the answers that Pebble never gives: by ACME over TLS, as far as lego asks.
import { readFileSync } from "node:fs";

/** A problem document of RFC 8555. */
export interface Problem {
  type: string;
  detail: string;
  status: number;
}

export interface FakeAcme {
  /** The URL of its directory. */
  directory: string;
  /** The path and body of each request, oldest first. */
  requests: string[];
  /** Refuses new orders with this problem from now on, or orders whose challenge was tried. */
  refuse(at: "order" | "challenge", problem: Problem): void;
  stop(): Promise<void>;
}

/** Starts it with the key and certificate of these files, which are for localhost and 127.0.0.1. */
export function startFakeAcme(key: string, cert: string): FakeAcme {
  let refusal: { at: "order" | "challenge"; problem: Problem } | null = null;
  const requests: string[] = [];
  let nonce = 0;
  const tls = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, tls, fetch: answer });
  const at = (path: string) => `https://127.0.0.1:${server.port}/${path}`;
  const json = (body: unknown, status = 200, location = "") =>
    new Response(JSON.stringify(body), {
      status,
      headers: {
        "Replay-Nonce": `nonce-${++nonce}`,
        "Content-Type": status >= 400 ? "application/problem+json" : "application/json",
        ...(location && { Location: location }),
        Link: `<${at("authz")}>;rel="up"`,
      },
    });

  async function answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.slice(1);
    requests.push(path);
    const name = "shop.test";
    const identifier = { type: "dns", value: name };
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const challenge = { type: "http-01", url: at("challenge"), token: "token", status: "pending" };
    const { type = "", detail = "", status = 400 } = refusal?.problem ?? {};
    const error = { type: `urn:ietf:params:acme:error:${type}`, detail, status };
    switch (path) {
      case "dir":
        return json({
          newNonce: at("nonce"),
          newAccount: at("account"),
          newOrder: at("order"),
          revokeCert: at("no"),
          keyChange: at("no"),
        });
      case "account":
        return json({ status: "valid" }, 201, at("account/1"));
      case "order":
        if (refusal?.at === "order") return json(error, status);
        return json(
          { status: "pending", expires, identifiers: [identifier], authorizations: [at("authz")], finalize: at("no") },
          201,
          at("order/1"),
        );
      case "authz": {
        const isTried = requests.includes("challenge");
        const tried = isTried ? { ...challenge, status: "invalid", error } : challenge;
        return json({ status: isTried ? "invalid" : "pending", expires, identifier, challenges: [tried] });
      }
      case "challenge":
        return json({ ...challenge, status: "processing" });
      default:
        return json({});
    }
  }

  return {
    directory: at("dir"),
    requests,
    refuse(where, problem) {
      refusal = { at: where, problem };
      requests.length = 0;
    },
    stop: () => server.stop(true),
  };
}
