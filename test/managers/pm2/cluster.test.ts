import { describe, expect, test } from "bun:test";
import { clusterOf } from "../../../lib/managers/pm2/cluster.ts";

describe("a command that is node and a file", () => {
  test.each([
    ["node server.js", "server.js", [], []],
    ["  node   ./dist/main.mjs  --port 3000 ", "./dist/main.mjs", ["--port", "3000"], []],
    [
      "node --enable-source-maps --max-old-space-size=512 app.js",
      "app.js",
      [],
      ["--enable-source-maps", "--max-old-space-size=512"],
    ],
    [`node 'my app.js' "two words" --x`, "my app.js", ["two words", "--x"], []],
  ])("%s", (command, script, args, flags) => {
    expect(clusterOf(command, 2, {})).toEqual({ script, args, flags });
  });
});

describe("anything else is refused", () => {
  test.each([
    "gunicorn app:app",
    "npm start",
    "node",
    "node --version",
    "node -r dotenv/config server.js",
    "node -e 'x'",
    "NODE_ENV=production node server.js",
    "node server.js --port $PORT",
    'node server.js "$PORT"',
    "node server.js > log",
    "node server.js & wait",
    "node a.js; node b.js",
    "node $(ls)",
    "node `ls`",
    "node serv'er.js'",
    "node *.js",
    "node ~/server.js",
    "exec node server.js",
    "bun server.js",
    "",
  ])("%j", (command) => {
    expect(() => clusterOf(command, 4, {})).toThrow('instances: 4 needs a command that is "node FILE"');
  });

  test("a variable that pm2 would take for its own setting", () => {
    const env = { name: "x", http_proxy: "http://127.0.0.1:1", SHOP: "y" };
    expect(() => clusterOf("node server.js", 2, env)).toThrow("pm2 takes name of the env file for its own settings");
    expect(clusterOf("node server.js", 2, { http_proxy: "x" }).script).toBe("server.js");
  });
});
