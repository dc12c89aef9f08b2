// The apps of the load tests on a server: one without packages, on threads, and one under Flask and gunicorn.
import type { LoadOptions } from "../fronts/relay/support/load.ts";

const PLAIN = `import base64, hashlib, http.server, json, os, time

RELEASE = os.environ["DP_RELEASE"].encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, body):
        self.wfile.write(f"HTTP/1.1 200 -\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n".encode() + body)

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self):
        if self.path == "/ws":
            return self.websocket()
        if self.path == "/stream":
            return self.stream(3, b"event", 0.5)
        if self.path == "/download":
            return self.stream(50, b"d" * 65536, 0.02)
        if self.path == "/slow":
            time.sleep(0.5)
        self.answer(json.dumps(dict(self.headers)).encode() if self.path == "/headers" else RELEASE)

    def stream(self, count, piece, pause):
        self.wfile.write(b"HTTP/1.1 200 -\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
        for _ in range(count):
            self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
            time.sleep(pause)
        self.wfile.write(b"0\\r\\n\\r\\n")

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        head = "HTTP/1.1 101 -\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
        self.wfile.write(f"{head}Sec-WebSocket-Accept: {accept}\\r\\n\\r\\n".encode())
        self.close_connection = True
        while len(start := self.rfile.read(2)) == 2:
            size = start[1] & 127
            mask, body = self.rfile.read(4), self.rfile.read(size)
            self.wfile.write(bytes([start[0], size]) + bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)))


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client that is gone is no news


Server((os.environ["DP_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
`;

const FLASK = `import os, time
from flask import Flask, request
app = Flask(__name__)

@app.get("/")
@app.get("/health")
def index():
    return os.environ["DP_RELEASE"]

@app.post("/echo")
def echo():
    return request.get_data(), 200, {"Content-Type": "application/octet-stream"}

@app.get("/slow")
def slow():
    time.sleep(0.5)
    return "slow"

@app.get("/download")
def download():
    def pieces():
        for _ in range(50):
            yield b"d" * 65536
            time.sleep(0.02)
    return pieces(), 200, {"Content-Length": str(50 * 65536)}
`;

/** The files of an app without packages: /, /echo, /slow, /download, /stream, /ws, and /headers, what it was sent. */
export const webApp = (name: string): Record<string, string> => ({
  "deploy.yml": `name: ${name}\ntype: python\nhealthCheck: /health\ncommand: exec python3 web.py\n`,
  "web.py": PLAIN,
});

/** The files of a Flask app under gunicorn: /, /echo, /slow, /download. */
export const flaskApp = (name: string): Record<string, string> => ({
  "deploy.yml": `name: ${name}\ntype: python\nhealthCheck: /health\ncommand: exec gunicorn --worker-class gthread --threads 24 --bind "$DP_HOST:$PORT" app:app\n`,
  "app.py": FLASK,
  "requirements.txt": "Flask==3.1.3\ngunicorn==27.0.1\n",
});

/** A load for these apps that leaves the machine time for the deploys. */
export const gentle = {
  ...{ keepAlive: 8, fresh: 2, slow: 2, downloads: 1, rate: 150 },
  paths: { echo: "/echo", slow: "/slow", download: "/download" },
} satisfies Omit<LoadOptions, "port">;
