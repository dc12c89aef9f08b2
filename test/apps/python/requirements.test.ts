// requirements.txt: lines, includes, and what makes an environment private.
import { expect, test } from "bun:test";
import {
  isLocalRequirement,
  readRequirements,
  requestedNames,
  requirementLines,
  requirementName,
} from "../../../lib/apps/python/requirements.ts";
import { memoryTree } from "./support.ts";

test.each([
  ["flask\n\n# c\n  click # why\n", ["flask", "click"]],
  [
    "flask==3.0 \\\n  --hash=sha256:aa \\\r\n  --hash=sha256:bb\n",
    ["flask==3.0    --hash=sha256:aa    --hash=sha256:bb"],
  ],
  ["a @ https://example.com/a#egg=a", ["a @ https://example.com/a#egg=a"]],
  ["\uFEFFflask\r\n", ["flask"]],
])("the lines of %j", (text, lines) => {
  expect(requirementLines(text)).toEqual(lines);
});

test.each([
  [".", true],
  ["./pkg", true],
  ["../pkg", true],
  [".[dev]", true],
  ["pkg/", true],
  ["libs/mine", true],
  ["/srv/pkg", true],
  ["mine-1.0-py3-none-any.whl", true],
  ["file:///srv/a.whl", true],
  ["mine @ file:///srv/a.whl", true],
  ["flask", false],
  ["flask[async]>=3,<4 ; sys_platform != 'a/b'", false],
  ["zope.interface==6.0", false],
  ["mine @ git+https://example.com/mine.git@main", false],
  ["https://example.com/a.whl", false],
  ["git+ssh://git@example.com/mine.git", false],
])("%j is local: %p", (requirement, isLocal) => {
  expect(isLocalRequirement(requirement)).toBe(isLocal);
});

test.each([
  ["Flask_SQLAlchemy[x]>=3", "flask-sqlalchemy"],
  ["gunicorn", "gunicorn"],
  ["uvicorn[standard]", "uvicorn"],
  ["a @ https://example.com/a", "a"],
  ["https://example.com/a", null],
])("the name of %j is %j", (requirement, name) => {
  expect(requirementName(requirement)).toBe(name);
});

test.each([
  ["fastapi[standard]", ["fastapi", "uvicorn"]],
  ["FastAPI [ httpx , All ]==0.115.0 ; python_version > '3'", ["fastapi", "uvicorn"]],
  ["fastapi[standard_no_fastapi_cloud_cli]", ["fastapi", "uvicorn"]],
  ["fastapi-cli>=0.0.7", ["fastapi-cli", "uvicorn"]],
  ["uvicorn[standard]", ["uvicorn"]],
  ["fastapi", ["fastapi"]],
  ["fastapi[opentelemetry]", ["fastapi"]],
  ["flask[standard]", ["flask"]],
  ["constructor[all]", ["constructor"]],
  ["https://example.com/a", []],
])("%j asks for %j", (requirement, names) => {
  expect(requestedNames(requirement)).toEqual(names);
});

test("included files belong to what defines the dependencies, relative to the file that names them", async () => {
  const found = await readRequirements(
    memoryTree({
      "requirements.txt": "-r requirements/base.txt\n-c constraints.txt",
      "requirements/base.txt": "Flask\n-r more.txt",
      "requirements/more.txt": "--requirement=../requirements.txt\nclick",
      "constraints.txt": "unasked==1",
    }),
  );
  expect([...found!.files.keys()].sort()).toEqual([
    "constraints.txt",
    "requirements.txt",
    "requirements/base.txt",
    "requirements/more.txt",
  ]);
  expect([...found!.names]).toEqual(["flask", "click"]);
  expect(found).toMatchObject({ isEmpty: false, isLocal: false, isHashed: false });
});

test.each([
  ["# only this\n\n", { isEmpty: true, isLocal: false }],
  ["--extra-index-url https://example.com/simple", { isEmpty: true, isLocal: false }],
  ["flask\n-e .", { isEmpty: false, isLocal: true }],
  ["--editable=git+https://example.com/a#egg=a", { isEmpty: false, isLocal: true }],
  ["flask\n--find-links ./wheels", { isEmpty: false, isLocal: true }],
  ["flask\n--find-links https://example.com/wheels", { isEmpty: false, isLocal: false }],
  ["-r https://example.com/r.txt", { isEmpty: false, isLocal: true }],
  ["flask==3 --hash=sha256:aa", { isHashed: true, isLocal: false }],
])("%j reads as %j", async (text, properties) => {
  expect(await readRequirements(memoryTree({ "requirements.txt": text }))).toMatchObject(properties);
});

test("an included file that is not in the commit is named, with the file that wants it", async () => {
  const reading = readRequirements(memoryTree({ "requirements.txt": "-r ../secrets.txt" }));
  await expect(reading).rejects.toThrow("requirements.txt: -r ../secrets.txt: no such file in the commit");
});

test("a link in place of the file is refused, and no file is no requirements", async () => {
  await expect(readRequirements(memoryTree({}, ["requirements.txt"]))).rejects.toThrow(
    "requirements.txt: a symbolic link",
  );
  expect(await readRequirements(memoryTree({}))).toBeNull();
});
