import { describe, expect, test } from "bun:test";
import { startScript } from "../../../lib/host/process/command-line.ts";

describe("one simple command becomes the process itself", () => {
  test.each([
    ["python -m uvicorn main:app --port $PORT"],
    ["./server"],
    ['node -e "a; b && c"'],
    ["node -e 'a | b > c'"],
    ["gunicorn -w $(nproc) main:app"],
    ["gunicorn -w `nproc` main:app"],
    ['run --name "it\'s ${NAME}" two\\ words a\\;b'],
    ["app \\\n  --port 1 \\\n  --host x"],
    ["app --color=#fff".replace("#", "\\#")],
    ["cdn-server"],
    ["path=with/equals".replace("path=", "./path=")],
  ])("%s", (line) => {
    expect(startScript(line)).toBe(`exec ${line}`);
    expect(startScript(`  ${line}\n`)).toBe(`exec ${line}`);
  });
});

describe("anything more is left to sh", () => {
  test.each([
    ["migrate && serve"],
    ["migrate; serve"],
    ["a | b"],
    ["a || b"],
    ["worker & serve"],
    ["serve > log"],
    ["one\ntwo"],
    ["PORT=1 serve"],
    ["A+=1 serve"],
    ["cd web"],
    [". ./env"],
    ["exec serve"],
    ["if true"],
    ["{ serve"],
    ["! serve"],
    ["(serve)"],
    ["serve # with a remark; really"],
    ["serve 'open"],
    ['serve "open'],
    ['serve "$(echo "; x")" ; y'],
    [""],
  ])("%j", (line) => {
    expect(startScript(line)).toBe(line);
  });
});

describe("sh runs it as it was meant", () => {
  test.each([
    ["echo a\\;b 'c;d' \"$X\"", "a;b c;d  x  y\n"],
    ["echo $(echo 1; echo 2)", "1 2\n"],
    ["echo `echo 1`", "1\n"],
    ["X=2 && echo $X", "2\n"],
    ["echo one \\\n two", "one two\n"],
    ["echo a#b", "a#b\n"],
  ])("%j", (line, output) => {
    const ran = Bun.spawnSync(["/bin/sh", "-c", startScript(line)], { env: { PATH: "/usr/bin:/bin", X: " x  y" } });
    expect([ran.exitCode, ran.stdout.toString()]).toEqual([0, output]);
  });
});
