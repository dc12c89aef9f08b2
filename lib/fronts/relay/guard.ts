// What stands before an app and answers in its place: allowed addresses, passwords, maintenance. dp's own requests pass:
// they bring a word that dp alone knows.
import { isWithin, networkOf } from "../../config/network.ts";
import type { Route } from "../../contracts/front.ts";
import { sortCuts } from "./field.ts";
import { guestAddress } from "./guest.ts";
import { PAGE } from "./maintenance-page.ts";
import { checkPassword } from "./passwords.ts";
import { request } from "./request-head.ts";
import type { Client, Guard } from "./types.ts";

/** When clients of an app in maintenance should come again, in seconds; and those whose passwords were wrong. */
const CLOSED_FOR = 120;
const WRONG_FOR = 60;
/** Right passwords that are known again without a check. */
const KNOWN = 256;
/** Bytes of Authorization: bcrypt itself reads 72 of a password. */
const CREDENTIALS = 1024;
/** Nobody can find out which header has which digest. */
const SALT = crypto.randomUUID();

/** What stands before the app of a route; null: nothing. */
export function guardOf({ pass = "", maintenance, allow, basicAuth }: Route): Guard | null {
  if (maintenance === undefined && allow === undefined && basicAuth === undefined) return null;
  return {
    pass: pass || null,
    page: maintenance === undefined ? null : Buffer.from(maintenance.page ?? PAGE),
    allowed: allow?.map(networkOf).filter((network) => network !== null) ?? null,
    users: basicAuth === undefined ? null : new Map(Object.entries(basicAuth)),
    known: new Map(),
  };
}

/**
 * The answer to the request that was read last, in place of the app's; null: the app answers. A promise: its password is
 * being checked.
 */
export function guardAnswer(guard: Guard, client: Client, buffer: Buffer): Buffer | Promise<Buffer | null> | null {
  if (isOwn(guard, buffer)) return null;
  if (guard.allowed !== null && !isWithin(guestAddress(client, buffer) ?? client.origin.address, guard.allowed))
    return answerOf(client, "403 Forbidden", "", "this address is not allowed");
  const isHead = request.isHead;
  const closed = () => (guard.page === null ? null : closedAnswer(guard.page, client, isHead));
  if (guard.users === null) return closed();
  const own = passwordAnswer(guard, guard.users, client, buffer);
  return own instanceof Promise ? own.then((answer) => answer ?? closed()) : (own ?? closed());
}

// Hashed, so that the time of the comparison tells nothing of the word.
function isOwn({ pass }: Guard, buffer: Buffer): boolean {
  if (pass === null || request.passAt === -1) return false;
  const word = buffer.subarray(request.passAt, request.passEnd);
  return new Bun.CryptoHasher("sha256").update(word).digest("hex") === pass;
}

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;

/** The answer to a request without a right password; null: it has one, and the app does not get it. */
function passwordAnswer(
  guard: Guard,
  users: ReadonlyMap<string, string>,
  client: Client,
  buffer: Buffer,
): Buffer | Promise<Buffer | null> | null {
  const { credentials } = request;
  if (credentials.length === 0) return askedFor(client);
  const [at = 0, value = 0, end = 0, next = 0] = credentials;
  if (credentials.length > 4) return answerOf(client, "400 Bad Request", "", "Authorization twice");
  const encoded = end - value > CREDENTIALS ? undefined : BASIC.exec(buffer.toString("latin1", value, end))?.[1];
  if (encoded === undefined) return askedFor(client);
  request.cuts.push(at, next);
  sortCuts(request.cuts);
  const digest = new Bun.CryptoHasher("sha256").update(`${SALT} ${encoded}`).digest("hex");
  // A browser sends several requests at once: their one password is checked once.
  const known = guard.known.get(digest) ?? check(guard, users, client, digest, encoded);
  if (known === true) return null;
  if (known === null)
    return answerOf(client, "429 Too Many Requests", `Retry-After: ${WRONG_FOR}\r\n`, "too many passwords were wrong");
  const refusal = askedFor(client);
  return known.then((isRight) => (isRight ? null : refusal));
}

function check(
  { known }: Guard,
  users: ReadonlyMap<string, string>,
  { app, guest, party }: Client,
  digest: string,
  encoded: string,
): Promise<boolean> | null {
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  const own = users.get(text.slice(0, colon));
  // For an unknown user another hash is checked: the time must not tell who is known.
  const hash = own ?? users.values().next().value ?? "";
  const checked = checkPassword(app.route.app, guest ?? party, text.slice(colon + 1), hash);
  if (checked === null) return null;
  const result = checked.then((isRight) => {
    const isKnown = isRight && own !== undefined && colon > 0;
    known.delete(digest);
    if (isKnown) known.set(digest, true);
    return isKnown;
  });
  if (known.size >= KNOWN) known.delete(known.keys().next().value!);
  known.set(digest, result);
  return result;
}

function askedFor(client: Client): Buffer {
  const realm = `WWW-Authenticate: Basic realm="${client.app.route.app}", charset="UTF-8"\r\n`;
  return answerOf(client, "401 Unauthorized", realm, "a user and a password are needed");
}

const closedAnswer = (page: Buffer, client: Client, isHead: boolean): Buffer =>
  withHead(
    client,
    "503 Service Unavailable",
    `Retry-After: ${CLOSED_FOR}\r\nContent-Type: text/html; charset=utf-8\r\n`,
    page,
    isHead,
  );

function answerOf(client: Client, status: string, lines: string, why: string): Buffer {
  const body = Buffer.from(`${status}\nthe request was refused: ${why}\n`);
  return withHead(client, status, `${lines}Content-Type: text/plain; charset=utf-8\r\n`, body, request.isHead);
}

function withHead({ app, origin }: Client, status: string, lines: string, body: Buffer, isHead: boolean): Buffer {
  const hsts = origin.proto === "https" && app.hsts !== null ? app.hsts.toString("latin1") : "";
  const head = Buffer.from(
    `HTTP/1.1 ${status}\r\n${lines}Content-Length: ${body.length}\r\nCache-Control: no-store\r\n${hsts}` +
      `Connection: close\r\n\r\n`,
    "latin1",
  );
  return isHead ? head : Buffer.concat([head, body]);
}
