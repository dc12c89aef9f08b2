// What the roles of a key allow, and how two of them are written.
import { expect, test } from "bun:test";
import { GRANTED, grantedIn, isEnough, isLess } from "../../lib/access/role.ts";

test("no role has that of another server with it", () => {
  expect(GRANTED.filter((has) => isEnough(has, "server"))).toEqual([
    "server",
    "view,server",
    "push,server",
    "operate,server",
  ]);
  expect(GRANTED.filter((has) => isEnough(has, "push"))).toEqual(["push", "operate", "push,server", "operate,server"]);
});

test("two are written in any order, and neither twice nor with one that the other has", () => {
  for (const word of ["operate,server", "server,operate"]) expect(grantedIn(word)).toBe("operate,server");
  for (const one of GRANTED) expect(grantedIn(one)).toBe(one);
  for (const word of ["", ",", "operate,", "view,push", "server,server", "operate,root", "view,operate,server"])
    expect(grantedIn(word)).toBeNull();
});

test("to lose one of two is less, to get one more is not", () => {
  expect(isLess("operate", "operate,server")).toBe(true);
  expect(isLess("server", "operate,server")).toBe(true);
  expect(isLess("push,server", "operate,server")).toBe(true);
  expect(isLess("operate", "server")).toBe(true);
  expect(isLess("operate,server", "server")).toBe(false);
  expect(isLess("operate,server", "push")).toBe(false);
});
