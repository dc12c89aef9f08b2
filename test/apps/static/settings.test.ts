// `static` of deploy.yml: what it may say, and what is said of the rest.
import { expect, test } from "bun:test";
import { deployConfig } from "../../support/configs.ts";
import { siteIn } from "../../../lib/apps/static/settings.ts";
import type { DpError } from "../../../lib/errors.ts";

const text = (more: string, type = "static") => `name: shop\ntype: ${type}\nhealthCheck: /\n${more}\n`;
const problems = (yml: string): readonly string[] => {
  try {
    deployConfig(yml);
    return [];
  } catch (error) {
    return (error as DpError).lines;
  }
};

test("defaults", () => {
  expect(deployConfig(text("static: {root: dist}")).settings).toEqual({
    root: "dist",
    spa: false,
    headers: {},
    keepAssets: 24 * 3_600_000,
  });
});

test("all of the app's folder", () => {
  expect(siteIn(deployConfig(text("static: {root: .}")))?.root).toBe(".");
});

test("everything", () => {
  const yml = text(`static:
  root: web/dist
  spa: true
  notFound: errors/404.html
  keepAssets: 1h
  headers:
    "/**": {X-Frame-Options: DENY}
    /assets/*: {Cache-Control: "public, max-age=60"}`);
  expect(siteIn(deployConfig(yml))?.headers).toEqual({
    "/**": { "X-Frame-Options": "DENY" },
    "/assets/*": { "Cache-Control": "public, max-age=60" },
  });
});

test.each([
  ["", "static: missing, add"],
  ["static: {}", "deploy.yml:4:9 static.root: missing"],
  ["static: {root: ../x}", 'deploy.yml:4:16 static.root: must stay inside the repo, without ".."'],
  ["static: {root: ./dist}", "static.root: must be plain, write dist"],
  ["static: {root: a, notFound: /etc/passwd}", "static.notFound: must be relative"],
  ["static: {root: a, spa: yes}", "static.spa: must be true or false"],
  ["static: {root: a, keepAssets: 1y}", "static.keepAssets: must be a duration"],
  ["static: {root: a, index: x}", "static.index: unknown key"],
  ["static: {root: a, headers: {x: {A: b}}}", "deploy.yml:4:"],
  ["static: {root: a, headers: {/x: {Connection: close}}}", "is set by dp itself"],
  ["static: {root: a, headers: {/x: {content-length: '1'}}}", "is set by dp itself"],
  ["static: {root: a, headers: {/x: {'A B': '1'}}}", "is no name of a header"],
  ['static: {root: a, headers: {/x: {A: "b\\r\\nSet-Cookie: c"}}}', "printable ASCII characters only, on one line"],
  ["static: {root: a, headers: {/x: {A: 1}}}", "must be a text, not the number 1"],
  ["static: {root: a, headers: {/**/*/*: {A: b}}}", 'may have "*" or "**" twice at most'],
  ["static: {root: a, headers: [x]}", "must be a mapping"],
  ["static: {root: a}\ncommand: ./start", "deploy.yml:5:1 command: type static starts nothing"],
])("%j is refused", (more, words) => expect(problems(text(more)).join("\n")).toContain(words));

test("static is for type static", () => {
  expect(problems(text("static: {root: a}", "python"))).toEqual([
    "deploy.yml:4:1 static: is only for type static, remove it",
  ]);
});
