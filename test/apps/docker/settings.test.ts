// The keys for apps of type docker: what they may hold, and every problem with its place.
import { expect, test } from "bun:test";
import { deployConfig, serverConfig } from "../../support/configs.ts";
import type { DpError } from "../../../lib/errors.ts";

const deploy = (more: string, type = "docker") => deployConfig(`name: shop\ntype: ${type}\nhealthCheck: /\n${more}`);
const server = (more: string) => serverConfig(`port: 8000\nmanager: builtin\n${more}`);
const problems = (read: () => unknown): readonly string[] => {
  try {
    read();
  } catch (error) {
    return (error as DpError).lines;
  }
  return [];
};

test("deploy.yml: what is left out, and what is not", () => {
  expect(deploy("").settings).toBeUndefined();
  expect(deploy("docker: {}\n").settings).toEqual({ file: "Dockerfile", args: {} });
  const full =
    'docker: {file: docker/web.Dockerfile, args: {NODE: 22, NAME: "a b", ON: true}, target: web, port: 80}\n';
  expect(deploy(full).settings).toEqual({
    ...{ file: "docker/web.Dockerfile", target: "web", port: 80 },
    args: { NODE: "22", NAME: "a b", ON: "true" },
  });
});

test.each([
  ["docker: {file: ../Dockerfile}", /^deploy\.yml:4:16 docker\.file: must be a path inside the repository/],
  ["docker: {file: /etc/passwd}", /^deploy\.yml:4:16 docker\.file: must be a path inside/],
  ["docker: {file: Containerfile.in}", /^deploy\.yml:4:16 docker\.file: must be .*, and not end in "\.in"/],
  [
    "shared: {dirs: [], files: [x, Dockerfile]}",
    /^deploy\.yml:4:31 shared\.files\.1: Dockerfile is the Dockerfile, and it is read from the commit/,
  ],
  [
    "docker: {file: web/Dockerfile}\nshared: {dirs: [web]}",
    /^deploy\.yml:5:17 shared\.dirs\.0: web\/Dockerfile is the Dockerfile, and it is read from the commit/,
  ],
  ["docker: {file: a//b}", /^deploy\.yml:4:16 docker\.file: must be a path inside/],
  ["docker: {args: {1A: x}}", /^deploy\.yml:4:21 docker\.args\.1A: the name must be letters/],
  ["docker: {args: {A: [x]}}", /^deploy\.yml:4:20 docker\.args\.A: must be a text or a number, not a list/],
  ['docker: {args: {A: "x\\ny"}}', /^deploy\.yml:4:20 docker\.args\.A: must be one line/],
  ["docker: {port: 0}", /^deploy\.yml:4:16 docker\.port: must be a whole number from 1 to 65535/],
  ["docker: {target: -x}", /^deploy\.yml:4:18 docker\.target: must be the name of a stage/],
  ["docker: {compose: compose.yml}", /^deploy\.yml:4:10 docker\.compose: compose files are not read/],
  ["docker: {image: nginx}", /^deploy\.yml:4:10 docker\.image: images are built from the commit/],
  [
    "docker: {privileged: true}",
    /^deploy\.yml:4:10 docker\.privileged: unknown key, known are file, args, port, target/,
  ],
  ["build: make", /^deploy\.yml:4:1 build: type docker is built by its Dockerfile/],
])("deploy.yml: %j is refused", (line, says) => {
  const lines = problems(() => deploy(`${line}\n`));
  expect(lines.length).toBe(1);
  expect(lines[0]).toMatch(says);
});

test("deploy.yml: docker with another type is refused, beside whatever else is wrong", () => {
  expect(problems(() => deploy("docker: {port: x}\n", "python"))).toEqual([
    "deploy.yml:4:1 docker: is only for type docker, remove it",
    'deploy.yml:4:16 docker.port: must be a whole number from 1 to 65535, not "x"',
  ]);
});

test("config.yml: limits", () => {
  expect(server("").settings["docker"]).toBeUndefined();
  expect(server("docker: {memory: 512m, cpus: 1.5, pids: 500}\n").settings["docker"]).toEqual({
    memory: "512m",
    cpus: "1.5",
    pids: 500,
  });
  expect(server("docker: {cpus: 2}\n").settings["docker"]).toEqual({ cpus: "2" });
  expect(problems(() => server("docker: {memory: 512, cpus: 0, pids: 1}\n"))).toEqual([
    "config.yml:3:18 docker.memory: must be a size such as 512m or 2g, not the number 512",
    'config.yml:3:29 docker.cpus: must be a number such as 1.5, not "0"',
    "config.yml:3:38 docker.pids: must be a whole number from 16 to 1000000, not the number 1",
  ]);
});
