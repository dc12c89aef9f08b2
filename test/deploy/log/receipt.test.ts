// What a deploy says: one line a step, children's output under it, secrets masked.
import { describe, expect, test } from "bun:test";
import { cut, receipt, stepLine } from "../../../lib/deploy/log/receipt.ts";

function said(talk: (out: ReturnType<typeof receipt>) => void, clean?: (line: string) => string) {
  const lines: string[] = [];
  const out = receipt((line) => lines.push(line), clean);
  talk(out);
  return { lines, out };
}

describe("a step is", () => {
  test("one line with its notes when its children were silent", () => {
    const { lines } = said((out) => {
      out.begin("install");
      out.info("python 3.11");
      out.info("8 packages");
      out.end("install", 2_140);
    });
    expect(lines).toEqual(["install        2.1 s  python 3.11; 8 packages"]);
  });

  test("a head, the output, and its time when they were not", () => {
    const { lines } = said((out) => {
      out.begin("build");
      out.info("npm");
      out.output("one");
      out.output("two");
      out.end("build", 12_000);
    });
    expect(lines).toEqual(["build              …  npm", "  | one", "  | two", "build         12.0 s"]);
  });

  test("marked when it failed", () => {
    const { lines } = said((out) => {
      out.begin("check");
      out.info("never shown");
      out.end("check", 100, true);
    });
    expect(lines).toEqual(["check          0.1 s  FAILED"]);
  });

  test("forgotten by the next one", () => {
    const { lines, out } = said((talk) => {
      talk.begin("build");
      talk.info("npm");
      talk.output("one");
      talk.end("build", 0);
      talk.begin("check");
      talk.end("check", 0);
    });
    expect(lines.at(-1)).toBe("check          0.0 s");
    expect(out.lastOutput()).toEqual([]);
  });
});

test("warnings are shown at once", () => {
  expect(said((out) => out.warn("look")).lines).toEqual(["  ! look"]);
});

test("what children, notes and warnings say is cleaned; whole lines of dp are not touched", () => {
  const { lines } = said(
    (out) => {
      out.say("secret");
      out.begin("build");
      out.info("a secret");
      out.warn("b secret");
      out.output("c secret");
      out.end("build", 0);
    },
    (line) => line.replaceAll("secret", "***"),
  );
  expect(lines).toEqual(["secret", "  ! b ***", "build              …  a ***", "  | c ***", "build          0.0 s"]);
});

test("the last lines of output are remembered, at least 100 of them", () => {
  const { out } = said((talk) => {
    talk.begin("build");
    for (let line = 0; line < 1_000; line++) talk.output(String(line));
  });
  const last = out.lastOutput();
  expect(last.slice(-100)).toEqual(Array.from({ length: 100 }, (_, line) => String(900 + line)));
  expect(last.length).toBeLessThanOrEqual(200);
});

test("a silent step gives a sign of life, and none after its end", async () => {
  const signs = Promise.withResolvers<string>();
  const out = receipt((line) => line.includes("still running") && signs.resolve(line));
  out.begin("install");
  const waiting = setInterval(() => undefined, 100);
  expect(await signs.promise).toMatch(/^install\s+\d+\.\d s {2}… still running$/);
  clearInterval(waiting);
  out.end("install", 1);
}, 20_000);

test.each([
  ["short", "short"],
  ["x".repeat(400), "x".repeat(400)],
  ["x".repeat(450), `${"x".repeat(400)} … (50 more)`],
])("a line of any length fits a screen", (line, expected) => expect(cut(line)).toBe(expected));

test("a long name keeps its distance", () => {
  expect(stepLine("post-deploy", 0, [])).toBe("post-deploy    0.0 s");
  expect(stepLine("a-name-of-the-operators", 1_000, ["x"])).toBe("a-name-of-the-operators   1.0 s  x");
});
