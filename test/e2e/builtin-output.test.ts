// What is said to people: each thing once, in order, and with what to type.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { deployYml, project, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}

describe("a build that fails", () => {
  test.each([3, 24, 60])("after %d lines is shown once", async (count) => {
    const build = `build: i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo "line $i of it"; done; exit 3\n`;
    await box.commit({ "deploy.yml": deployYml("shop", build) });
    const { text } = await expectCode(box.push(), 1);
    for (let line = 1; line <= count; line++) expect(text.split(`| line ${line} of it`).length).toBe(2);
    expect(text).toContain("FAILED at build: sh -c");
  });

  test("by a script with Windows line ends says so before it runs, with the command that mends it", async () => {
    const crlf = {
      "deploy.yml": deployYml("shop", "build: ./tools/b.sh\n"),
      "tools/b.sh": "#!/bin/sh\r\necho built\r\n",
    };
    await box.commit(crlf);
    const { text } = await expectCode(box.push(), 1);
    expect(text).toContain("build: tools/b.sh has Windows line ends: sed -i 's/\\r$//' tools/b.sh");
    await expectCode(box.start(["sed", "-i", "s/\\r$//", "tools/b.sh"]).done, 0);
    await box.commit({});
    expect((await expectCode(box.push(), 0)).text).toContain("| built");
  });

  test("because a script in a script has them is told what to do", async () => {
    const files = { "tools/b.sh": "#!/bin/bash\nbash ./tools/c.sh\n", "tools/c.sh": "ls /\r\nset -e\r\nfoo\r\n" };
    await box.commit(files);
    expect((await expectCode(box.push(), 1)).text).toContain("→ Windows line ends: sed -i 's/\\r$//' ");
    await box.commit({ "deploy.yml": deployYml("shop"), "tools/b.sh": null, "tools/c.sh": null });
    await expectCode(box.push(), 0);
  });
});

test("pip's progress is one line, with its numbers", async () => {
  const wheel = `import zipfile
with zipfile.ZipFile("one-1-py3-none-any.whl", "w") as file:
    file.writestr("one.py", "")
    file.writestr("one-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: one\\nVersion: 1\\n")
    file.writestr("one-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    file.writestr("one-1.dist-info/RECORD", "")
`;
  await expectCode(box.start(["python3", "-c", wheel]).done, 0);
  await box.commit({ "requirements.txt": "./one-1-py3-none-any.whl\n" });
  const { text } = await expectCode(box.push(), 0);
  expect(text).toContain("| pip: 1 installed");
  expect(text).not.toMatch(/Processing|Installing collected|Successfully installed/);
  await box.commit({ "requirements.txt": "./one-1-py3-none-any.whl\n./gone.whl\n" });
  const failed = (await expectCode(box.push(), 1)).text;
  expect(failed.match(/gone\.whl/g)?.length).toBe(failed.match(/\| .*gone\.whl/g)!.length);
  expect(failed).toContain("FAILED at install");
  await box.commit({ "requirements.txt": null, "one-1-py3-none-any.whl": null });
});

test("a file that is too large to be read says what to do", async () => {
  await box.commit({ "deploy.yml": `# ${"x".repeat(70_000)}\n${deployYml("shop")}` });
  expect((await expectCode(box.push(), 1)).text).toContain("larger than 64 KiB: write long commands into scripts");
  await box.commit({ "deploy.yml": deployYml("shop") });
});

describe("dp logs -f", () => {
  const worker = (name: string) =>
    `${name}: 'i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo ${name} $i; sleep 0.05; done; exec sleep 1000'`;

  test("has the lines of all processes by their times", async () => {
    const more = `processes:\n  ${worker("ping")}\n  ${worker("pong")}\n`;
    await box.release({ "deploy.yml": deployYml("shop", more) });
    const last = (text: string) => ["ping 20", "pong 20"].every((line) => text.includes(line));
    await until("both have said all", async () => last((await box.dp("logs", "shop")).stdout));
    const following = Bun.spawn([box.program, "logs", "shop", "-f", "--json"], {
      ...{ cwd: box.code, env: box.env, stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    });
    let text = "";
    for await (const chunk of following.stdout) {
      text += Buffer.from(chunk).toString();
      // Read on to the end: without a reader it would end by itself, and otherwise.
      if (last(text)) following.kill("SIGINT");
    }
    expect(await following.exited).toBe(0);
    const lines = text.trimEnd().split("\n");
    const said = lines.map((line) => JSON.parse(line) as { time: string; process: string });
    const times = said.map(({ time }) => Date.parse(time));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const names = said.map(({ process }) => process).filter((name) => name.startsWith("p"));
    expect(names.length).toBe(40);
    // One after the other they would change once.
    expect(names.filter((name, index) => index > 0 && name !== names[index - 1]).length).toBeGreaterThan(5);
  });
});

describe("keep", () => {
  test("counts releases of commits: changed settings push none of them out", async () => {
    await expectCode(box.start(["sh", "-c", `echo 'keep: 2' >> ${join(box.base, "config.yml")}`]).done, 0);
    const [before, live] = [await box.release({ say: "a" }), await box.release({ say: "b" })];
    for (const value of [1, 2, 3, 4]) await expectCode(box.dp("env", "shop", "set", `COLOUR=${value}`), 0);
    const rows = JSON.parse((await box.dp("releases", "shop", "--json")).stdout) as { id: string; isKept: boolean }[];
    const kept = rows.filter(({ isKept }) => isKept).map(({ id }) => id);
    expect(kept).toEqual(expect.arrayContaining([before, live]));
    await expectCode(box.dp("rollback", "shop"), 0);
    expect(await box.answer()).toBe(`a ${before}`);
  });
});

test("dp doctor offers the way back from a release that crashes", async () => {
  const back = box.link("current")!;
  const live = await box.release({ say: "bad" });
  for (let time = 0; time < 3; time++) {
    const [pid] = (await until("it runs", () => box.instances()[live]))!;
    process.kill(pid!, "SIGKILL");
    await until("it is another", () => {
      const now = box.instances()[live];
      return now !== undefined && !now.includes(pid!);
    });
  }
  const { stdout } = await box.dp("doctor", "shop");
  expect(stdout).toContain(`dp logs shop web -n 100; or go back to ${back}: dp rollback shop`);
});

// Whoever is somebody else has no rights; only root can become somebody else.
describe.skipIf(process.getuid?.() !== 0)("as another user", () => {
  const asNobody = (...words: string[]) => {
    const dp = [process.execPath, "--no-env-file", "--config=/dev/null", join(project, "bin/dp")];
    return box.start(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...dp, ...words]).done;
  };
  beforeAll(() => chmodSync(dirname(box.root), 0o755));

  test.each(["status", "status shop", "ps shop", "logs shop", "releases shop"])(
    "dp %s speaks of rights",
    async (words) => {
      const { text, stdout } = await expectCode(asNobody(...words.split(" ")), 8);
      expect(stdout).not.toContain("no app");
      expect(text.match(/permission denied/g)?.length).toBe(1);
      expect(text).toContain(`→ run it with sudo: sudo dp ${words}`);
    },
  );

  test("even where not so much as a name can be looked at", async () => {
    chmodSync(box.base, 0o700);
    const { text } = await expectCode(asNobody("status"), 8);
    expect(text).toContain("permission denied");
    chmodSync(box.base, 0o755);
  });
});
