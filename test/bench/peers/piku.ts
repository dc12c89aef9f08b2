// piku from a clone of its repository, with a Procfile of type wsgi: uWSGI behind nginx.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../support/box-host.ts";
import { flaskFiles } from "../app.ts";
import type { Ground, Peer } from "./peer.ts";

const HOME = "/home/piku";
/** What piku's own instructions copy to the server. */
const FILES = ["piku.py", "uwsgi-piku.service", "piku-nginx.path", "piku-nginx.service"];

// Its port 80 on an address of its own: others of this machine's loopback may be in use.
const address = () => `127.${[1, 2, 3].map(() => 1 + Math.floor(Math.random() * 253)).join(".")}`;

const NGINX = `include /home/piku/.piku/nginx/*.conf;\n`;

const PREPARE = `useradd --create-home --home-dir ${HOME} --gid www-data --shell /bin/bash piku
install -o piku -g www-data -m 755 /srv/piku/piku.py ${HOME}/piku.py
su - piku -c 'python3 piku.py setup && python3 piku.py setup:ssh /etc/ssh/box_key.pub'
ln -s "$(command -v uwsgi)" /usr/local/bin/uwsgi-piku
cp /srv/piku/uwsgi-piku.service /srv/piku/piku-nginx.path /srv/piku/piku-nginx.service /etc/systemd/system/
rm -f /etc/nginx/sites-enabled/default
chmod 755 ${HOME}
systemctl daemon-reload && systemctl start uwsgi-piku nginx piku-nginx.path`;

/** Clones piku on this machine, and sends what belongs on a server. */
async function send({ box, piku }: Ground): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "dp-piku-"));
  try {
    const { code, text } = await exec(["git", "clone", "-q", "--depth", "1", piku, folder]);
    if (code !== 0) throw new Error(`piku cannot be had from ${piku}: ${text}`);
    const commit = await exec(["git", "-C", folder, "log", "-1", "--date=short", "--format=piku %h of %ad"]);
    await box.write("/srv/piku/version", commit.stdout);
    for (const name of FILES) await box.copyIn(join(folder, name), `/srv/piku/${name}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const envOf = () => `NGINX_SERVER_NAME=shop.example.com
NGINX_IPV4_ADDRESS=${address()}
DISABLE_IPV6=true
NGINX_INCLUDE_FILE=port.conf
`;

const peer: Peer = {
  name: "piku",
  app: "shop",
  packages: ["nginx", "openssl", "uwsgi", "uwsgi-plugin-python3", "python3-click", "python3-virtualenv"],
  async open(ground, { laptop, port }) {
    const { box } = ground;
    await send(ground);
    await box.write("/etc/nginx/conf.d/piku.conf", NGINX);
    await box.must(PREPARE);
    await laptop.git("remote", "set-url", "production", box.gitUrl("/shop", "piku"));
    const own = { Procfile: "wsgi: app:app\n", ENV: envOf(), "port.conf": `listen 127.0.0.1:${port};\n` };
    return {
      files: (say) => ({ ...flaskFiles("shop", say), ...own }),
      push: () => laptop.push(),
      back: null,
    };
  },
};

export default peer;
