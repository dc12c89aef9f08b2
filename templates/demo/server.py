# The demo's app: what it answers is all that changes from push to push.
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b"hello, this is version 1\n"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)


ThreadingHTTPServer((os.environ["DP_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
