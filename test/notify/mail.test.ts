// Mail over a real connection to a mail server that keeps what it gets: with and without TLS, refused for good or for now.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainEnv } from "../../lib/host/run.ts";
import { BUN } from "./support/queue.ts";

const LIMIT = 60_000;
/** Leads to 127.0.0.1, and is not one of the names of this machine that need no TLS. */
const ELSEWHERE = "127.1";

let folder = "";
const servers: Bun.Subprocess[] = [];
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-mail-")));
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sink"];
  const names = ["-addext", `subjectAltName=DNS:${ELSEWHERE},IP:127.0.0.1`];
  const files = ["-keyout", join(folder, "key"), "-out", join(folder, "cert")];
  expect(Bun.spawnSync(["openssl", ...request, ...names, ...files], { stderr: "ignore" }).exitCode).toBe(0);
  const both = readFileSync(join(folder, "key"), "utf8") + readFileSync(join(folder, "cert"), "utf8");
  writeFileSync(join(folder, "both"), both);
});
afterAll(() => {
  for (const server of servers) server.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a mail server; `isSafe`: it offers STARTTLS. */
async function sink(isSafe = false): Promise<{ port: number; mail(number: number): string }> {
  const own = join(folder, String(servers.length));
  mkdirSync(own);
  const argv = ["python3", join(import.meta.dir, "support/smtp.py"), own, isSafe ? join(folder, "both") : "-"];
  const server = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  servers.push(server);
  const { value } = await server.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  return { port, mail: (number) => readFileSync(join(own, String(number)), "utf8") };
}

async function send(settings: Record<string, string>, env: Record<string, string> = {}) {
  const whole = { mail: "ops@example.com", from: "dp@shop.example.com", ...settings };
  const argv = [...BUN, join(import.meta.dir, "support/mail.ts"), JSON.stringify(whole)];
  const child = Bun.spawn(argv, {
    cwd: "/",
    env: { ...plainEnv(), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect(err).toBe("");
  return JSON.parse(out) as unknown;
}

test(
  "to this machine itself without TLS; nothing of the text becomes a header or ends the mail",
  async () => {
    const { port, mail } = await sink();
    expect(await send({ smtp: `127.0.0.1:${port}` })).toEqual({ end: "sent", said: "accepted" });
    const text = mail(1);
    expect(text).toContain("MAIL FROM:<dp@shop.example.com>\nRCPT TO:<ops@example.com>\n");
    expect(text).toMatch(/^Message-ID: <0123456789abcdef@shop.example.com>\r$/m);
    expect(text).toMatch(/^Subject: =\?UTF-8\?/m);
    expect(text).not.toMatch(/^Bcc:/im);
    expect(text).not.toContain("RCPT TO:<x@evil.example>");
    expect(text.split("\n").every((each) => each.length < 200)).toBe(true);
    const body = Buffer.from(text.slice(text.indexOf("\r\n\r\n")), "base64").toString();
    expect(body).toContain("\n.\n");
    expect(body).toEndWith("on ams-1");
  },
  LIMIT,
);

test(
  "elsewhere only with TLS that can be trusted, and then with user and password",
  async () => {
    const bare = await sink();
    expect(await send({ smtp: `${ELSEWHERE}:${bare.port}` })).toEqual({ end: "again", said: "no TLS" });
    expect(() => bare.mail(1)).toThrow();
    const safe = await sink(true);
    const settings = { smtp: `${ELSEWHERE}:${safe.port}`, user: "shop", password: "p@ss#w%rd&" };
    expect(await send(settings)).toMatchObject({ end: "again" });
    expect(() => safe.mail(1)).toThrow();
    expect(await send(settings, { NODE_EXTRA_CA_CERTS: join(folder, "cert") })).toMatchObject({ end: "sent" });
    expect(safe.mail(1)).toContain("auth '\\x00shop\\x00p@ss#w%rd&'");
  },
  LIMIT,
);

test(
  "refused for good, for now, and nobody there: the code alone is told",
  async () => {
    const { port } = await sink();
    const smtp = `127.0.0.1:${port}`;
    expect(await send({ smtp, mail: "nobody@example.com" })).toEqual({ end: "never", said: "SMTP 550" });
    expect(await send({ smtp, mail: "full@example.com" })).toEqual({ end: "again", said: "SMTP 452" });
    expect(await send({ smtp: "127.0.0.1:1" })).toMatchObject({ end: "again" });
  },
  LIMIT,
);
