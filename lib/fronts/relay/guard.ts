// What stands before an app and answers in its place. dp's own requests pass: they bring a word that dp alone knows.
import type { Route } from "../../contracts/front.ts";
import { request } from "./request-head.ts";
import type { Client, Guard } from "./types.ts";

/** When clients of an app in maintenance should come again, in seconds. */
const RETRY_AFTER = 120;

/** What stands before the app of a route; null: nothing. */
export function guardOf({ pass = "", maintenance }: Route): Guard | null {
  if (maintenance === undefined) return null;
  return { pass: pass || null, page: Buffer.from(maintenance.page ?? PAGE) };
}

/** The answer to the request that was read last, in place of the app's; null: the app answers. */
export function guardAnswer(guard: Guard, client: Client, buffer: Buffer): Buffer | null {
  if (isOwn(guard, buffer)) return null;
  return guard.page === null ? null : maintenanceAnswer(guard.page, client);
}

// Hashed, so that the time of the comparison tells nothing of the word.
function isOwn({ pass }: Guard, buffer: Buffer): boolean {
  if (pass === null || request.passAt === -1) return false;
  const word = buffer.subarray(request.passAt, request.passEnd);
  return new Bun.CryptoHasher("sha256").update(word).digest("hex") === pass;
}

function maintenanceAnswer(page: Buffer, { app, origin }: Client): Buffer {
  const hsts = origin.proto === "https" && app.hsts !== null ? app.hsts.toString("latin1") : "";
  const head =
    `HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: ${page.length}\r\n` +
    `Retry-After: ${RETRY_AFTER}\r\nCache-Control: no-store\r\n${hsts}Connection: close\r\n\r\n`;
  return request.isHead ? Buffer.from(head, "latin1") : Buffer.concat([Buffer.from(head, "latin1"), page]);
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Maintenance</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f6f6f4; color: #333; font: 18px/1.6 system-ui, sans-serif; }
  main { max-width: 32rem; padding: 2rem; text-align: center; }
  h1 { font-size: 1.5rem; font-weight: 600; }
  @media (prefers-color-scheme: dark) { body { background: #1c1c1e; color: #ddd; } }
</style>
<main>
  <h1>We will be back soon</h1>
  <p>This site is closed for maintenance. Please try again in a few minutes.</p>
</main>
</html>
`;
