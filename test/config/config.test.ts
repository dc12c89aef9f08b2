// deploy.yml and config.yml: what is accepted, and every refusal with its place and words.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setServerValues } from "../../lib/config/config.ts";
import { deployConfig, serverConfig } from "../support/configs.ts";
import { DpError } from "../../lib/errors.ts";
import { appName } from "../../lib/paths.ts";
import { render, template, templates } from "../../lib/host/template.ts";
import { schemaFiles } from "../support/schemas.ts";

const HEAD = "name: my-api\ntype: python\nhealthCheck: /health\n";
const SERVER = "port: 8000\nmanager: systemd\n";
const deploy = (text: string) => deployConfig(text, ["node", "python"]);
const server = (text: string) => serverConfig(text);

/** The lines of the DpError that `parse` throws. */
function problems(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    expect(error.exit).toBe("config");
    expect(error.message).toMatch(/^(deploy|config)\.yml: \d+ problems?$/);
    return error.lines;
  }
  throw new Error("accepted");
}

describe("deploy.yml", () => {
  test("the shortest one gets its defaults", () => {
    expect(deploy(HEAD)).toEqual({
      name: "my-api",
      type: "python",
      healthCheck: { path: "/health", timeout: 5000, interval: 50, startTimeout: 60_000 },
      hooks: {},
      processes: {},
      cron: [],
    });
  });

  test("the longest one keeps every value; a BOM and CRLF change nothing", () => {
    const text = `name: my-api
type: node
healthCheck: {path: "/up?deep=1", host: "example.com:8080", status: [200, 503], timeout: 500ms, interval: 1s, startTimeout: 15m}
command: uvicorn main:app --host "$DP_HOST" --port "$PORT"
build: npm run build
hooks:
  preDeploy: ./scripts/migrate.sh --all
  postDeploy: flask db upgrade
`;
    const expected = {
      name: "my-api",
      type: "node",
      healthCheck: {
        path: "/up?deep=1",
        host: "example.com:8080",
        status: [200, 503],
        timeout: 500,
        interval: 1000,
        startTimeout: 900_000,
      },
      command: 'uvicorn main:app --host "$DP_HOST" --port "$PORT"',
      build: "npm run build",
      hooks: { preDeploy: "./scripts/migrate.sh --all", postDeploy: "flask db upgrade" },
      processes: {},
      cron: [],
    };
    expect(deploy(text)).toEqual(expected);
    expect(deploy(`\ufeff${text.replaceAll("\n", "\r\n")}`)).toEqual(expected);
    expect(deploy(`${HEAD.replace("/health", "{path: /, status: 204}")}`).healthCheck?.status).toEqual([204]);
  });

  test("all problems are reported at once, in the order of the file", () => {
    const text =
      "name: my-api\ntype: pyton\nhealtCheck: /health\nbuild: |\n  a\n  b\nhooks:\n  preDeploi: x\n  postDeploy: ../x\n";
    expect(problems(() => deploy(text))).toEqual([
      'deploy.yml:1:1 healthCheck: missing, add "healthCheck: /health"',
      'deploy.yml:2:7 type: must be one of node, python, not "pyton", did you mean "python"?',
      'deploy.yml:3:1 healtCheck: unknown key, did you mean "healthCheck"?',
      "deploy.yml:4:8 build: must be one line: put more into a script in the repository",
      'deploy.yml:8:3 hooks.preDeploi: unknown key, did you mean "preDeploy"?',
      'deploy.yml:9:15 hooks.postDeploy: the script\'s path must stay inside the repo, without ".."',
    ]);
  });

  test("every unknown key of one mapping is reported, those of Object.prototype too", () => {
    const lines = problems(() => deploy(`${HEAD}__proto__: 1\nconstructor: 1\ntoString: 1\nbuid: x\n`));
    expect(lines.map((line) => line.split(" ")[1])).toEqual(["__proto__:", "constructor:", "toString:", "buid:"]);
    expect(lines[3]).toEndWith('unknown key, did you mean "build"?');
  });

  test("problems inside the health check are told, not that it is none", () => {
    const text = HEAD.replace(
      "/health",
      "\n  path: health\n  timeout: 5\n  status: [200, 302]\n  interval: 2h\n  retries: 3",
    );
    expect(problems(() => deploy(text))).toEqual([
      'deploy.yml:4:9 healthCheck.path: must be a path such as "/health", not "health"',
      'deploy.yml:5:12 healthCheck.timeout: needs a unit, write "5s"',
      "deploy.yml:6:17 healthCheck.status.1: must be a status from 200 to 299 or 400 to 599 (a redirect never counts as healthy), not the number 302",
      "deploy.yml:7:13 healthCheck.interval: must be from 50ms to 60s, not 2h",
      "deploy.yml:8:3 healthCheck.retries: unknown key, known are path, host, headers, status, timeout, interval, startTimeout",
    ]);
    expect(problems(() => deploy(HEAD.replace("/health", "{}")))).toEqual([
      'deploy.yml:3:14 healthCheck.path: missing, add "path: /health"',
    ]);
  });

  test.each(["//evil.example/x", "@169.254.169.254/x", "http://x/", "/a b", "/a#b", "/a\\b", "", "/a?b?c", "/ä"])(
    "health path %p is refused",
    (path) => {
      expect(problems(() => deploy(HEAD.replace("/health", JSON.stringify(path))))).toHaveLength(1);
    },
  );

  test.each(["/", "/health", "/a/b.c~d_e-f%20", "/h?x=1&y=%2F"])("health path %p is taken", (path) => {
    expect(deploy(HEAD.replace("/health", path)).healthCheck?.path).toBe(path);
  });

  test.each(["a b", "a\nb", "-a", "a/b", "x@y", "a:port", ":80"])("health host %p is refused", (host) => {
    const text = HEAD.replace("/health", `{path: /, host: ${JSON.stringify(host)}}`);
    expect(problems(() => deploy(text))[0]).toContain("healthCheck.host: must be a host name");
  });

  test.each(["", " ", "a\nb", "a\tb", "a\u0007b", "a\u0000b", "a\u009bb", "x".repeat(4097), "a\ud800b"])(
    "command %j is refused",
    (command) => {
      const lines = problems(() => deploy(`${HEAD}command: ${JSON.stringify(command)}\n`));
      expect(lines).toHaveLength(1);
      expect(lines[0]).toStartWith("deploy.yml:4:10 command: ");
    },
  );

  test.each(["My_Api", "a--b", "-a", "root", "a".repeat(29), "../x", "a b", "\u001b[31mx"])(
    "name %j is refused, as by appName",
    (name) => {
      expect(() => appName(name)).toThrow();
      const lines = problems(() => deploy(HEAD.replace("my-api", JSON.stringify(name))));
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toContain("\u001b");
    },
  );
});

describe("a key of the server's in deploy.yml says where it belongs, and what to type", () => {
  const problem = (line: string, app?: string) => {
    try {
      deployConfig(`name: shop\ntype: python\nhealthCheck: /\n${line}\n`, undefined, app);
      return "accepted";
    } catch (error) {
      return (error as DpError).lines.join("\n");
    }
  };

  test.each([
    ["port: 80", "deploy.yml:4:1 port: the public port is set on the server: dp setup shop --port N; the app itself"],
    ["env: {KEY: x}", "deploy.yml:4:1 env: settings stay on the server, out of git: dp env shop set NAME=value"],
    ["env: staging", "deploy.yml:4:1 env: the environment is set on the server: dp setup shop --env NAME"],
    ["domain: shop.example", "deploy.yml:4:1 domain: domains are set on the server: dp domains shop add shop.example"],
    [
      "domains: [shop.example]",
      "deploy.yml:4:1 domains: domains are set on the server: dp domains shop add shop.example",
    ],
    [
      "replicas: 2",
      "deploy.yml:4:1 replicas: the number of processes is set on the server: dp scale shop PROCESS=N; for web",
    ],
    [
      "scale: {worker: 2}",
      "deploy.yml:4:1 scale: the number of processes is set on the server: dp scale shop PROCESS=N",
    ],
    ["instances: 2", "deploy.yml:4:1 instances: is set on the server, in /opt/deployments/shop/config.yml"],
    ["keepWarm: 5s", "deploy.yml:4:1 keepWarm: is set on the server, in /opt/deployments/shop/config.yml"],
    ["manager: pm2", "deploy.yml:4:1 manager: what runs the app is set on the server: dp setup shop --manager NAME"],
    [
      "branch: main",
      "deploy.yml:4:1 branch: the branch that deploys is set on the server: dp setup shop --branch NAME",
    ],
    ["front: none", "deploy.yml:4:1 front: the front is set on the server: dp setup shop --front NAME"],
  ])("%s", (line, words) => {
    expect(problem(line)).toStartWith(words);
    expect(problem(line)).not.toContain("\n");
  });

  test("the app is the one that it is pushed to, and other keys are misspelled as before", () => {
    expect(problem("port: 80\nkeep: 2", "shop")).toContain("dp setup shop --port N");
    expect(problem("hoks: {}")).toContain('unknown key, did you mean "hooks"?');
    expect(problem("build: make")).toBe("accepted");
  });
});

describe("YAML", () => {
  test.each([
    ["", 'deploy.yml:1:1 must be lines of "key: value"'],
    ["# only a comment\n", 'deploy.yml:1:1 must be lines of "key: value"'],
    ["name type healthCheck", 'deploy.yml:1:1 must be lines of "key: value"'],
    ["- name", 'deploy.yml:1:1 must be lines of "key: value"'],
    [`${HEAD}---\nname: b\n`, 'deploy.yml:4:1 only one document is read, remove what follows the line "---"'],
    [`${HEAD}name: b\n`, "deploy.yml:4:1 name: given twice, keep one"],
    [`${HEAD}hooks:\n\tpreDeploy: x\n`, "deploy.yml:5:1 indent with spaces, not with a tab"],
    [`${HEAD}build: !sh x\n`, "deploy.yml:4:12 build: tags (!name) are not allowed, write the plain value"],
    [`${HEAD}build: !!str x\n`, "deploy.yml:4:14 build: tags (!name) are not allowed, write the plain value"],
    [`${HEAD}build: &b x\n`, "deploy.yml:4:11 build: anchors (&name) are not allowed, write the value out"],
    [`${HEAD}build: *b\n`, "deploy.yml:4:8 build: aliases (*name) are not allowed, write the value out"],
    [`${HEAD}<<: *b\n`, 'deploy.yml:4:5 "<<": aliases (*name) are not allowed, write the value out'],
    [`%YAML 1.1\n---\n${HEAD}`, "deploy.yml:1:1 directives are not allowed, remove the line"],
    [`${HEAD}? [a]\n: b\n`, "deploy.yml:4:3 a key must be a plain word"],
    [`${HEAD}hooks:\n`, "deploy.yml:4:7 hooks: empty, give it a value or remove the line"],
    [`${HEAD}build: true\n`, "deploy.yml:4:8 build: must be a command on one line, not the boolean true"],
    [`${HEAD}hooks: []\n`, "deploy.yml:4:8 hooks: must be a mapping of keys to values, not a list"],
    [
      HEAD.replace("/health", "[/health]"),
      "deploy.yml:3:14 healthCheck: must be a mapping of keys to values, not a list",
    ],
    [`${HEAD}build: [a]\n`, "deploy.yml:4:8 build: must be a command on one line, not a list"],
    [
      `${HEAD}"\\e[31m": x\n`,
      'deploy.yml:4:1 "\\u001b[31m": unknown key, known are name, type, healthCheck, command, build, hooks, root, shared, processes, cron',
    ],
    ["x".repeat(65 * 1024), "deploy.yml:1:1 larger than 64 KiB: write long commands into scripts"],
  ])("%#: %j", (text, line) => {
    expect(problems(() => deploy(text))).toEqual([line]);
  });

  // What takes minutes is not soon; a busy machine needs its time.
  const PATIENCE = 60_000;
  const bomb = [
    "a0: &a0 [x, x]",
    ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`),
  ].join("\n");
  test.each([
    ["nested lists", "[".repeat(60_000)],
    ["closed nested lists", `build: ${"[".repeat(2000)}${"]".repeat(2000)}`],
    ["nested mappings", "{a: ".repeat(15_000)],
    ["an alias bomb", bomb],
    ["thousands of keys", Array.from({ length: 7000 }, (_, i) => `k${i}: 1`).join("\n")],
  ])(
    "%s: refused soon and on one screen",
    (_, text) => {
      expect(problems(() => deploy(text)).length).toBeLessThanOrEqual(51);
    },
    PATIENCE,
  );
});

test("what nests deeper than any key needs is not followed", () => {
  const lines = problems(() => deploy(`${HEAD}hooks: ${"[".repeat(20)}${"]".repeat(20)}\n`));
  expect(lines).toEqual([
    "deploy.yml:4:8 hooks: must be a mapping of keys to values, not a list",
    "deploy.yml:4:16 hooks.0.0.0.0.0.0.0.0: nested too deeply",
  ]);
});

describe("config.yml", () => {
  test("the shortest one gets its defaults", () => {
    expect(server(SERVER)).toEqual({
      port: 8000,
      manager: "systemd",
      instances: 1,
      env: "production",
      branch: "main",
      host: "127.0.0.1",
      keep: 5,
      keepLogs: 200,
      servers: {},
      roles: {},
      strategy: "blue-green",
      front: "relay",
      protocol: "http",
      trustedProxies: [],
      domains: [],
      tls: { http: "redirect", hsts: 0 },
      verifyTime: 3_000,
      drainTimeout: 30_000,
      holdTimeout: 30_000,
      keepWarm: 0,
      scale: {},
      settings: {},
      gate: true,
      stopTimeout: 30_000,
      stepTimeout: 900_000,
    });
  });

  test.each([
    "0x1F90",
    "08000",
    "8_000",
    "1e3",
    "8000.5",
    "+8000",
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "yes",
    "",
    "[8000]",
  ])("port %s is refused", (port) => {
    expect(problems(() => server(SERVER.replace("8000", port)))).toHaveLength(1);
  });

  test("a list says which of its values is wrong", () => {
    expect(problems(() => server(`${SERVER}trustedProxies: [10.0.0.1, localhost]\n`))).toEqual([
      'config.yml:3:28 trustedProxies.1: must be an address, or a network such as 203.0.113.0/24 whose bits behind the 24 are zero, not "localhost"',
    ]);
  });

  test("what needs a front is refused without one", () => {
    for (const line of ["strategy: blue-green", "protocol: tcp"])
      expect(() => server(`${SERVER}front: none\n${line}\n`)).toThrow(`${line} needs a front`);
    expect(server(`${SERVER}front: none\n`).strategy).toBe("restart");
  });

  test("several workers need pm2", () => {
    expect(() => server(`${SERVER}instances: 4\n`)).toThrow("instances: 4 needs manager: pm2, and manager is systemd");
    expect(server(`${SERVER}instances: 1\n`).instances).toBe(1);
    const pm2 = `${SERVER}instances: 4\n`.replace("systemd", "pm2");
    expect(server(pm2).instances).toBe(4);
    expect(problems(() => server(`${SERVER}instances: 0\n`))[0]).toContain("must be a whole number from 1 to 64");
  });

  test("a quoted number says what to do", () => {
    expect(problems(() => server(SERVER.replace("8000", '"8000"')))).toEqual([
      "config.yml:1:7 port: must be a number, remove the quotes",
    ]);
  });

  test.each([
    ["manager", "sytemd", 'must be one of builtin, pm2, swarm, systemd, not "sytemd", did you mean "systemd"?'],
    ["env", "../x", 'must be a lower-case word such as production, not "../x"'],
    ["env", "8", "must be a lower-case word such as production, not the number 8"],
    ["gate", "no", 'must be true or false, not "no"'],
    ["gate", "on", 'must be true or false, not "on"'],
    ["keep", "0", "must be a whole number from 1 to 100, not the number 0"],
    ["strategy", "rolling", 'must be one of blue-green, restart, not "rolling"'],
    ["front", "relais", 'must be one of haproxy, none, relay, not "relais", did you mean "relay"?'],
    ["protocol", "udp", 'must be one of http, tcp, not "udp", did you mean "tcp"?'],
    ["maxFailed", "-1", "must be 0 or more, not the number -1"],
    ["host", "256.0.0.1", 'must be an IPv4 address such as 127.0.0.1, not "256.0.0.1"'],
    ["host", "localhost", 'must be an IPv4 address such as 127.0.0.1, not "localhost"'],
    ["user", "A b", 'must be the name of a system user, not "A b"'],
    ["path", "/a:b", 'must be absolute folders joined by ":", not "/a:b"'],
    ["path", "/a::/b", 'must be absolute folders joined by ":", not "/a::/b"'],
    ["stopTimeout", "30", 'needs a unit, write "30s"'],
    ["stopTimeout", "030s", 'must be a duration such as 500ms, 5s, 2m or 1h, not "030s"'],
    ["stepTimeout", "7h", "must be from 1s to 6h, not 7h"],
    ["branch", "refs/heads/main", 'must be the branch alone, without "refs/heads/"'],
  ])("%s: %s is refused", (key, value, what) => {
    const text = key === "manager" ? SERVER.replace("systemd", value) : `${SERVER}${key}: ${value}\n`;
    const line = key === "manager" ? 2 : 3;
    expect(problems(() => server(text))).toEqual([`config.yml:${line}:${key.length + 3} ${key}: ${what}`]);
  });

  const BAD =
    "-x,--upload-pack=x,a..b,a@{b,@,HEAD,a b,a~b,a^b,a:b,a?b,a*b,a[b,a\\b,a.lock,x.lock/y,a/,/a,a//b,.a,a/.b,a.,a\u0001b,";
  test.each(BAD.split(","))("branch %j is refused, as by git", (branch) => {
    const git = Bun.spawnSync(["git", "check-ref-format", "--branch", branch], { cwd: "/" });
    if (branch !== "HEAD" && branch !== "@") expect(git.exitCode).not.toBe(0);
    expect(problems(() => server(`${SERVER}branch: ${JSON.stringify(branch)}\n`))).toHaveLength(1);
  });

  test.each(["main", "feature/x-1", "v1.10", "1.10", "a@b", "ünicode"])("branch %s is taken, as by git", (branch) => {
    expect(Bun.spawnSync(["git", "check-ref-format", "--branch", branch], { cwd: "/" }).exitCode).toBe(0);
    expect(server(`${SERVER}branch: ${branch}\n`).branch).toBe(branch);
  });
});

describe("setServerValues", () => {
  test("changes values, adds keys below their examples, and leaves every other character", () => {
    const text = "# mine\nport: 8000 # public\n\n# keep: 5\nmanager: 'systemd'\n";
    const edited = setServerValues(text, {
      port: 9000,
      keep: 7,
      manager: "builtin",
      branch: "on",
      path: "/a:/b",
      gate: false,
      env: undefined,
    });
    expect(edited).toBe(
      '# mine\nport: 9000 # public\n\n# keep: 5\nkeep: 7\nmanager: builtin\nbranch: "on"\npath: /a:/b\ngate: false\n',
    );
    expect(server(edited)).toMatchObject({
      port: 9000,
      keep: 7,
      manager: "builtin",
      branch: "on",
      path: "/a:/b",
      gate: false,
    });
    expect(setServerValues(edited, { port: 9000, gate: false })).toBe(edited);
  });
});

describe("templates", () => {
  test("the shipped schemas are current: bun test/support/schemas.ts", async () => {
    for (const [file, text] of Object.entries(await schemaFiles())) {
      expect(readFileSync(join(templates, file), "utf8"), file).toBe(text);
    }
  });

  test("every key has a description in the schema", async () => {
    for (const text of Object.values(await schemaFiles())) {
      const { properties } = JSON.parse(text) as { properties: Record<string, { description?: string }> };
      for (const [key, value] of Object.entries(properties)) expect(value.description, key).toBeString();
    }
  });

  test("config.yml is accepted, and so is each of its commented examples; they are the defaults", async () => {
    const text = render(await template("config.yml"), { schema: "file:///x", port: "8000", manager: "systemd" });
    const plain = server(text);
    const full = server(text.replace(/^# (?=[a-zA-Z]+: [^ ]+$)/gm, ""));
    expect(full).toMatchObject(plain);
    expect(Object.keys(full).sort()).toEqual(
      Object.keys({ ...plain, for: 0, user: 0, path: 0, maxFailed: 0, minFree: 0 }).sort(),
    );
  });

  test("deploy.yml is accepted, and so are its commented examples", async () => {
    const values = {
      name: "my-api",
      type: "python",
      healthCheck: "/health",
      because: "app.py",
    };
    const text = render(await template("deploy.yml"), values);
    expect(deploy(text)).toMatchObject({ name: "my-api" });
    const uncommented = text.replace(/^(healthCheck:) .*$/m, "$1").replace(/^# (?=(?: {2})?[a-zA-Z]+:( |$))/gm, "");
    expect(deploy(uncommented)).toEqual({
      ...deploy(text),
      healthCheck: {
        path: "/health",
        host: "example.com",
        status: [200, 204],
        timeout: 5000,
        interval: 50,
        startTimeout: 60_000,
      },
      command: "./start.sh",
      build: "./scripts/build.sh",
      hooks: { preDeploy: "./scripts/migrate.sh", postDeploy: "./scripts/notify.sh" },
      root: "services/api",
      shared: { dirs: ["uploads"], files: [".secret"] },
      processes: {
        worker: { command: "python worker.py", healthCheck: { stayUp: 3_000 }, overlap: false },
        mailer: { command: "python mailer.py", healthCheck: { stayUp: 10_000 }, overlap: false, stopTimeout: 300_000 },
      },
      cron: [
        {
          ...{ schedule: "*/15 * * * *", command: "python cleanup.py" },
          ...{ name: "python-cleanup-py", timeZone: "Europe/Berlin" },
        },
      ],
    });
  });
});
