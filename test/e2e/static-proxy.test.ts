// nginx and Caddy serving `current` by themselves, with the documents' own examples, while releases change.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/box-host.ts";
import { blockWith } from "../support/documents.ts";
import { sandbox, until, type Sandbox } from "../support/sandbox.ts";

const CURRENT = "/opt/deployments/site/current";
const proxies: Record<string, (folder: string, port: number, current: string) => { text: string; argv: string[] }> = {
  nginx(folder, port, current) {
    const block = blockWith("server_name", CURRENT)
      .replace("server_name site.example.com;", `listen 127.0.0.1:${port};`)
      .replaceAll(CURRENT, current);
    const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((it) => `${it}_temp_path ${folder}/${it};`);
    const user = process.getuid?.() === 0 ? "user root;" : "";
    return {
      text: `daemon off;\nworker_processes 1;\n${user}\npid ${folder}/nginx.pid;\nevents {}\nhttp {\naccess_log off;\n${temps.join("\n")}\n${block}}\n`,
      argv: ["nginx", "-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`],
    };
  },
  caddy(folder, port, current) {
    const block = blockWith("file_server", CURRENT)
      .replace("site.example.com {", `http://127.0.0.1:${port} {\n\tbind 127.0.0.1`)
      .replaceAll(CURRENT, current);
    return {
      text: `{\n\tadmin off\n\tauto_https off\n}\n${block}`,
      argv: ["caddy", "run", "--adapter", "caddyfile", "--config", `${folder}/caddy.conf`],
    };
  },
};
const names = Object.keys(proxies);
const PATH = `${process.env["PATH"]}:/usr/sbin`;
const missing = names.filter((program) => Bun.which(program, { PATH }) === null);
if (missing.length > 0 && process.env["CI"] === "true" && process.getuid?.() === 0)
  throw new Error(`not installed: ${missing.join(", ")}`);

const YML =
  "name: site\ntype: static\nhealthCheck: {path: /, startTimeout: 5s}\nstatic: {root: dist, notFound: 404.html}\n";

describe.skipIf(missing.length > 0)(
  `current${missing.length > 0 ? ` (skipped: no ${missing.join(", ")})` : ""}`,
  () => {
    let site: Sandbox;
    let folder: string;
    const ports: Record<string, number> = {};
    const running: Bun.Subprocess[] = [];

    const ask = async (name: string, path: string) => {
      const answer = await fetch(`http://127.0.0.1:${ports[name]}${path}`, { redirect: "manual" });
      return { status: answer.status, text: await answer.text() };
    };

    beforeAll(async () => {
      site = await sandbox("site");
      const text = {
        "deploy.yml": YML,
        "dist/404.html": "nothing",
        "dist/docs/index.html": "docs",
        "dist/about.html": "about",
        "server.py": null,
      };
      await site.release({ ...text, "dist/index.html": "one", "dist/.env": "SECRET", "dist/.well-known/x": "known" });
      folder = mkdtempSync(join(tmpdir(), "dp-current-"));
      for (const name of names) {
        ports[name] = await freePort();
        const { text, argv } = proxies[name]!(folder, ports[name]!, join(site.base, "current"));
        writeFileSync(join(folder, `${name}.conf`), text);
        const log = openSync(join(folder, `${name}.log`), "a");
        running.push(Bun.spawn(argv, { cwd: folder, env: { PATH, HOME: folder }, stdio: ["ignore", log, log] }));
        closeSync(log);
        await until(`${name} answers`, () =>
          ask(name, "/").then(
            () => true,
            () => false,
          ),
        );
      }
    });
    afterAll(async () => {
      for (const child of running) child.kill("SIGTERM");
      await Promise.all(running.map((child) => child.exited));
      await site?.stop();
      if (folder) rmSync(folder, { recursive: true, force: true });
    });

    test.each(names)("%s: pages, folders, what is not there, and what is hidden", async (name) => {
      expect(await ask(name, "/")).toEqual({ status: 200, text: "one" });
      expect((await ask(name, "/docs/")).text).toBe("docs");
      for (const path of ["/about", "/about.html"])
        expect(await ask(name, path)).toEqual({ status: 200, text: "about" });
      expect(await ask(name, "/missing")).toEqual({ status: 404, text: "nothing" });
      expect((await ask(name, "/.env")).status).toBe(404);
      expect((await ask(name, "/.well-known/x")).text).toBe("known");
    });

    test("nginx follows no link out of the folder", async () => {
      symlinkSync("/etc/passwd", join(site.base, "current/dist/out.txt"));
      expect((await ask("nginx", "/out.txt")).text).not.toContain("root:");
    });

    test("a deploy moves both, and a broken one does not", async () => {
      await site.release({ "dist/index.html": "two" });
      for (const name of names) expect((await ask(name, "/")).text).toBe("two");
      await site.commit({ "dist/index.html": null });
      expect((await site.push()).code).not.toBe(0);
      for (const name of names) expect((await ask(name, "/")).text).toBe("two");
    });
  },
);
