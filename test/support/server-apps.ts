// Apps that are pushed to a test server: small, without packages, and steered by files in their user's home.

const APP = `import http.server, os, pathlib, subprocess, sys, time

home = pathlib.Path(os.environ["HOME"])
base = home.parent
run = pathlib.Path("/run/test")
while (run / "slow").exists():
    time.sleep(0.05)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if (home / "die").exists():
            os._exit(3)
        while (run / "hold").exists() and os.readlink(base / "current").endswith(os.environ["DP_RELEASE"]):
            time.sleep(0.05)
        while self.path == "/long" and (run / "long").exists():
            time.sleep(0.05)
        text = os.environ["DP_RELEASE"]
        if self.path == "/probe":
            text = subprocess.run(["./probe.sh", "app"], capture_output=True, text=True).stdout
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


server = http.server.ThreadingHTTPServer((os.environ["DP_HOST"], int(os.environ["PORT"])), Handler)
print("listening as", os.environ["DP_RELEASE"], flush=True)
server.serve_forever()
`;

/**
 * The files of an app that answers with its release. Files steer it, those below /run/test until the power is cut:
 * "slow", it does not start to listen; "hold", the live release answers nothing; "long", no request for /long ends;
 * and "die" in its home, it exits with 3 at the next request. `more` are lines of deploy.yml.
 */
export function plainApp(name: string, more = ""): Record<string, string> {
  const config = `name: ${name}\ntype: python\nhealthCheck: {path: /health, startTimeout: 60s}\ncommand: python app.py\n`;
  return { "deploy.yml": config + more, "app.py": APP };
}

/** A build line that says "building" and goes on when there is a file "go" in the app's home. */
export const PATIENT_BUILD = 'echo building; until [ -e "/opt/deployments/$DP_APP/home/go" ]; do sleep 0.05; done';
