// The bench's own app: plain python without dependencies, which dies of SIGTERM at once, whatever it is doing.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sandbox, type Sandbox } from "../support/sandbox.ts";
import type { Measured, Options } from "./section.ts";

/** Milliseconds that /slow takes, and that /download takes. */
export const SLOW = 500;
const DOWNLOAD = 1_000;

/** What the app answers to, as the load asks for it. */
export const PATHS = { quick: "/", echo: "/echo", slow: "/slow", download: "/download", websocket: "/ws" };

const SERVER = `import base64, hashlib, os, socketserver, time

say = open("say").read().strip().encode()

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 512

class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        while self.one_request():
            pass

    def one_request(self):
        line = self.rfile.readline().split()
        if not line:
            return False
        headers = {}
        for header in iter(self.rfile.readline, b"\\r\\n"):
            name, _, value = header.partition(b":")
            headers[name.strip().lower()] = value.strip()
        body = self.rfile.read(int(headers.get(b"content-length", 0)))
        path = line[1]
        if path == b"/ws":
            return self.websocket(headers)
        if path == b"/download":
            return self.download()
        if path == b"/slow":
            time.sleep(${SLOW / 1000})
        self.answer(body if path == b"/echo" else say)
        return headers.get(b"connection", b"").lower() != b"close"

    def answer(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))

    def download(self):
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % (50 * 65536))
        for _ in range(50):
            self.wfile.write(bytes(65536))
            time.sleep(${DOWNLOAD / 1000 / 50})
        return True

    def websocket(self, headers):
        key = headers[b"sec-websocket-key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
                         b"Sec-WebSocket-Accept: %s\\r\\n\\r\\n" % accept)
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return False
            size = head[1] & 127
            mask = self.rfile.read(4)
            frame = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size)))
            self.wfile.write(bytes([head[0], size]) + frame)

Server((os.environ["DP_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
`;

/** The files of the app; `say` is what it answers. */
export const filesOf = (app: string, say: string): Record<string, string> => ({
  "deploy.yml": `name: ${app}\ntype: python\nhealthCheck: /health\ncommand: exec python3 server.py\n`,
  "server.py": SERVER,
  say,
});

/** The app of `dp init --example flask`, whose page says `say`. */
export function flaskFiles(app: string, say: string): Record<string, string> {
  const folder = join(import.meta.dir, "../../templates/apps/flask");
  const files = [...new Bun.Glob("**/*").scanSync({ cwd: folder })].map((name) => [
    name,
    readFileSync(join(folder, name), "utf8"),
  ]);
  const texts = Object.fromEntries(files) as Record<string, string>;
  const fill = (text = "") => text.replaceAll("{{name}}", app).replace(/^.*\{\{.*\n/gm, "");
  const python = texts["app.py"]!.replace('os.environ.get("DP_RELEASE", "none")', JSON.stringify(say));
  return { ...texts, "deploy.yml": fill(texts["deploy.yml"]), "app.py": python };
}

/** Whatever lets pip reach its packages here. */
export function giveWayToPip(box: Sandbox): void {
  for (const [name, value] of Object.entries(process.env)) if (/^PIP_/.test(name)) box.env[name] = value ?? "";
}

/** What was measured, and the same of a Flask app if its packages can be had; else a note. */
export async function withFlask<Name extends string>(
  { values, notes }: Measured<Name>,
  options: Options,
  flask: (options: Options) => Promise<Partial<Record<Name, number>>>,
): Promise<Measured<Name>> {
  if (options.isQuick) return { values, notes: [...notes, "Flask: left out by --quick"] };
  try {
    return { values: { ...values, ...(await flask(options)) }, notes };
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n").slice(0, 12).join(" | ") : String(error);
    return { values, notes: [...notes, `Flask: ${why}`] };
  }
}

/** Sets lines of the app's config.yml. */
export function configure(box: Sandbox, lines: readonly string[]): void {
  const path = join(box.base, "config.yml");
  const names = lines.map((line) => line.split(":")[0]);
  const rest = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => !names.includes(line.split(":")[0]));
  writeFileSync(path, [...rest, ...lines, ""].join("\n"), { mode: 0o600 });
}

/** A server in a folder with one app that is set up by that dp; it is gone when `use` has ended. */
export async function withApp<T>(
  { dp }: Pick<Options, "dp">,
  app: string,
  lines: readonly string[],
  use: (box: Sandbox) => Promise<T>,
): Promise<T> {
  const box = await sandbox(app, "relay", dp);
  try {
    configure(box, lines);
    return await use(box);
  } finally {
    await box.stop();
  }
}
