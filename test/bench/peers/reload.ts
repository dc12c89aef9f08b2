// A bare repository whose hook checks the commit out where it runs, and lets pm2 reload it: two processes of node.
import { resolve } from "node:path";
import { pm2Folder, VERSION } from "../../support/pm2.ts";
import type { Peer } from "./peer.ts";

const HOOK = `#!/bin/sh
set -e
git --work-tree=/srv/hook/shop checkout -q -f main
pm2 reload shop 2>&1 || PORT=PUBLIC pm2 start /srv/hook/shop/server.js --name shop -i 2
`;

const server = (say: string) => `const http = require("node:http");
const server = http.createServer((request, response) => response.end(${JSON.stringify(say)}));
server.listen(process.env.PORT, "127.0.0.1");
`;

const peer: Peer = {
  name: "hook with pm2 reload",
  app: "shop",
  packages: ["nodejs"],
  async open({ box }, { laptop, port }) {
    await box.copyIn(resolve(await pm2Folder(), ".."), "/usr/local/lib/pm2/node_modules");
    await box.must("ln -s /usr/local/lib/pm2/node_modules/.bin/pm2 /usr/local/bin/pm2");
    await box.must("mkdir -p /srv/hook/shop && git init -q --bare -b main /srv/hook/shop.git");
    await box.write("/srv/hook/shop.git/hooks/post-receive", HOOK.replace("PUBLIC", String(port)), 0o755);
    await box.write("/srv/hook/version", `pm2 ${VERSION}\n`);
    await laptop.git("remote", "set-url", "production", box.gitUrl("/srv/hook/shop.git"));
    return {
      files: (say) => ({ "server.js": server(say) }),
      push: () => laptop.push(),
      back: null,
    };
  },
};

export default peer;
