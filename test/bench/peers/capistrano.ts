// Debian's Capistrano with gunicorn under systemd, restarted by each deploy: a push to a repository, then `cap`.
import { flaskFiles } from "../app.ts";
import type { Ground, Peer } from "./peer.ts";

const CLIENT = "/srv/cap/client";
const SERVICE = "cap-shop";

const CAPFILE = `require "capistrano/setup"
require "capistrano/deploy"
require "capistrano/scm/git"
install_plugin Capistrano::SCM::Git
`;

const DEPLOY = `set :application, "shop"
set :repo_url, "/srv/cap/shop.git"
set :branch, "main"
set :deploy_to, "/srv/cap/shop"

namespace :deploy do
  task :packages do
    on roles(:app) do
      execute "/srv/cap/venv/bin/pip", "install", "--quiet", "--requirement", release_path.join("requirements.txt")
    end
  end
  task :restart do
    on roles(:app) do
      execute "systemctl", "restart", "${SERVICE}"
    end
  end
  after :updated, :packages
  after :published, :restart
end
`;

const stage = (port: number) =>
  `server "127.0.0.1", user: "root", roles: %w[app], ssh_options: { port: ${port}, keys: ["/srv/cap/key"] }\n`;

const unit = (port: number) => `[Service]
Type=notify
WorkingDirectory=/srv/cap/shop/current
ExecStart=/srv/cap/venv/bin/gunicorn --bind 127.0.0.1:${port} app:app
`;

// The library that Capistrano speaks ssh with reads keys of RSA in this form without more packages.
const PREPARE = `mkdir -p /root/.ssh && ssh-keygen -q -t rsa -m PEM -N '' -f /srv/cap/key
cat /srv/cap/key.pub >>/root/.ssh/authorized_keys
git init -q --bare -b main /srv/cap/shop.git && python3 -m venv /srv/cap/venv`;

async function prepare({ box }: Ground, port: number): Promise<void> {
  await box.write(`${CLIENT}/Capfile`, CAPFILE);
  await box.write(`${CLIENT}/config/deploy.rb`, DEPLOY);
  await box.write(`${CLIENT}/config/deploy/production.rb`, stage(box.port));
  await box.write(`/etc/systemd/system/${SERVICE}.service`, unit(port));
  await box.must(PREPARE);
}

const peer: Peer = {
  name: "Capistrano",
  app: "shop",
  packages: ["capistrano"],
  async open(ground, { laptop, port }) {
    const { box } = ground;
    await prepare(ground, port);
    await laptop.git("remote", "set-url", "production", box.gitUrl("/srv/cap/shop.git"));
    const cap = (task: string) => box.must(`cd ${CLIENT} && cap production ${task}`);
    return {
      files: (say) => flaskFiles("shop", say),
      async push() {
        await laptop.push();
        await cap("deploy");
      },
      back: () => cap("deploy:rollback"),
    };
  },
};

export default peer;
