// What a hostile commit may write into deploy.yml: each is refused with its place, before anything is made of it.
import { expect, test } from "bun:test";
import { DpError } from "../../lib/errors.ts";
import { deployConfig } from "../support/configs.ts";

const BASE = "name: att\ntype: python\nhealthCheck: /\ncommand: x\n";
const NO_HEALTH = "name: att\ntype: python\ncommand: x\n";
const STATIC = "name: att\ntype: static\nhealthCheck: /\n";
const job = (schedule: string, more = "") =>
  `${BASE}cron: [{schedule: ${JSON.stringify(schedule)}, command: x${more}}]\n`;
const BOMB = [
  "a: &a [x,x,x,x,x,x,x,x,x]",
  ..."bcdefg".split("").map((name, at) => `${name}: &${name} [${`*${"abcdef"[at]},`.repeat(9)}]`),
];

test.each([
  ["another app's name", BASE.replace("att", "vic")],
  ["a name that leads up", BASE.replace("att", "../vic")],
  ["a health check of another host", `${NO_HEALTH}healthCheck: "@169.254.169.254/"\n`],
  ["a header in the host", `${NO_HEALTH}healthCheck: {path: /, host: "a\\r\\nX: y"}\n`],
  ["a header in the path", `${NO_HEALTH}healthCheck: "/a\\r\\nX: y"\n`],
  ["a user", `user: root\n${BASE}`],
  ["a port", `port: 22\n${BASE}`],
  ["a hook of two lines", `${BASE}hooks: {preDeploy: "a\\nb"}\n`],
  ["a job's name that leads up", job("* * * * *", ', name: "../../x"')],
  ["a job's name with a line of a unit", job("* * * * *", ', name: "a\\nUser=root"')],
  ["a schedule with a unit's section", job("* * * * *\n[Service]\nExecStart=/x")],
  ["a schedule that ends with a newline", job("0 0 * * *\n", ", name: a")],
  ["a schedule with other white space", job("0 0 * * *\r\n\v")],
  ["a schedule with a specifier", job("0 0 * * %i")],
  ["a time zone that leads up", job("@daily", ', timeZone: "Europe/../../../../tmp/x"')],
  ["a time zone with a line of a unit", job("@daily", ', timeZone: "UTC\\nUnit=ssh.service"')],
  ["a process called cron", `${BASE}processes: {cron: x}\n`],
  ["a process with a dot", `${BASE}processes: {"a.b": x}\n`],
  ["a process with an @", `${BASE}processes: {"a@b": x}\n`],
  ["a shared folder that leads up", `${BASE}shared: {dirs: ["../x"]}\n`],
  ["a shared folder of the server", `${BASE}shared: {dirs: ["/etc"]}\n`],
  ["the release as a shared folder", `${BASE}shared: {dirs: ["."]}\n`],
  ["a shared file that leads up", `${BASE}shared: {files: ["a/../../b"]}\n`],
  ["a root that leads up", `${BASE}root: ../../vic\n`],
  ["a site that leads up", `${STATIC}static: {root: ../..}\n`],
  ["a header in a header", `${STATIC}static: {root: pub, headers: {"/*": {X: "a\\r\\nSet-Cookie: b"}}}\n`],
  ["a header that frames", `${STATIC}static: {root: pub, headers: {"/*": {Transfer-Encoding: chunked}}}\n`],
  ["an option as a build argument", `${BASE.replace("python", "docker")}docker: {args: {"A=b --privileged": x}}\n`],
  ["a Dockerfile that leads up", `${BASE.replace("python", "docker")}docker: {file: ../../etc/passwd}\n`],
  ["an option as a target", `${BASE.replace("python", "docker")}docker: {target: "--privileged"}\n`],
  ["an unknown key", `${BASE}sudo: true\n`],
  ["a key twice", `${BASE}type: node\n`],
  ["an alias bomb", `${BOMB.join("\n")}\n`],
  ["a prototype", `${BASE}__proto__: {x: 1}\n`],
  ["a merge", `x: &x {user: root}\n${BASE}<<: *x\n`],
  ["20,000 brackets", `${BASE}processes: ${"[".repeat(20_000)}\n`],
])("%s", (_what, text) => {
  expect(() => deployConfig(text, ["docker", "node", "python", "static"], "att")).toThrow(DpError);
});

test("the same without any of it is accepted", () => {
  for (const text of [BASE, job("0 0 * * *"), `${STATIC}static: {root: pub}\n`])
    expect(deployConfig(text, ["docker", "node", "python", "static"], "att").name).toBe("att");
});
