# A mail server that keeps what it gets: smtp.py FOLDER CERT|- ; says its port, and writes each mail to FOLDER/N.
import base64, os, socketserver, ssl, sys

folder, cert = sys.argv[1], sys.argv[2]
count = 0


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")
        self.wfile.flush()

    def greet(self):
        more = [] if cert == "-" or self.is_safe else ["STARTTLS"]
        more += ["AUTH PLAIN"] if self.is_safe else []
        lines = ["sink", *more, "8BITMIME"]
        for at, line in enumerate(lines):
            self.say(f"250{' ' if at == len(lines) - 1 else '-'}{line}")

    def start_tls(self):
        self.say("220 go on")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.is_safe = True

    def keep(self):
        global count
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()).rstrip(b"\r\n") != b".":
            lines.append(line)
        count += 1
        with open(os.path.join(folder, f"{count}.part"), "wb") as file:
            file.write("".join(self.envelope).encode() + b"\n" + b"".join(lines))
        os.rename(os.path.join(folder, f"{count}.part"), os.path.join(folder, str(count)))
        self.say("250 kept")

    def handle(self):
        self.is_safe, self.envelope = False, []
        self.say("220 sink")
        try:
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                word = line.split(" ")[0].upper()
                if word == "EHLO":
                    self.greet()
                elif word == "STARTTLS" and cert == "-":
                    self.say("502 not here")
                elif word == "STARTTLS":
                    self.start_tls()
                elif word == "AUTH":
                    self.envelope.append(f"auth {base64.b64decode(line.split(' ')[2]).decode()!r}\n")
                    self.say("235 welcome")
                elif word == "DATA":
                    self.keep()
                elif "full@" in line:
                    self.say("452 mailbox of full@ is full")
                elif "nobody@" in line:
                    self.say("550 no such user nobody@")
                else:
                    self.envelope.append(f"{line}\n")
                    self.say("250 ok")
        except (ssl.SSLError, ConnectionError):
            pass  # the client does not trust this server


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


server = Server(("127.0.0.1", 0), Session)
print(server.server_address[1], flush=True)
server.serve_forever()
