// The example for Django, as a user has it: dp init, git push through the real hook, again, a bad migration, and back.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { complaints, ended, figures, under } from "../support/load-run.ts";
import { sandbox, type Sandbox } from "../support/sandbox.ts";

// Packages come over the network.
setDefaultTimeout(180_000);

const MIGRATION = (body: string) => `from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("visits", "0001_initial")]
    operations = [migrations.RunSQL("${body}", migrations.RunSQL.noop)]
`;

describe("the example django", () => {
  let box: Sandbox;
  let first = "";
  let second = "";
  beforeAll(async () => {
    box = await sandbox();
    await box.git("rm", "-rqf", ".");
    expect(ended(await box.dp("init", "--example", "django", "--name", box.app))).toBe("0");
  });
  afterAll(() => box?.stop());

  const kept = (name: string) => join(box.base, "shared/data", name);
  /** The counter and the release on the page. */
  const visit = async () => /Visit (\d+), release (\S+)</.exec(await box.answer())!.slice(1, 3);

  test("is deployed by a push: migrated, healthy, with its static files", async () => {
    first = await box.release({});
    expect(box.log(first)).toMatch(/pre-deploy[\s\S]*Applying visits\.0001_initial\.\.\. OK/);
    expect(await visit()).toEqual(["1", first]);
    expect(await box.answer("/health")).toBe("ok");
    const [, css] = /href="(\/static\/visits\.[0-9a-f]+\.css)"/.exec(await box.answer())!;
    expect(await box.answer(css)).toContain("font-family: sans-serif");
  });

  test("makes a key of its own, that nobody else can read", () => {
    const stat = statSync(kept("secret_key"));
    expect([stat.mode & 0o777, stat.size]).toEqual([0o600, 67]);
  });

  test("the next release has the same database and the same key, and no request fails on the way", async () => {
    const key = readFileSync(kept("secret_key"), "utf8");
    const page = readFileSync(join(box.code, "visits/templates/visits.html"), "utf8");
    const load = { rate: 40, keepAlive: 3, fresh: 1, paths: { quick: "/" } };
    const proof = await under(box, load, () =>
      box.release({ "visits/templates/visits.html": `${page}<!-- two -->\n` }),
    );
    console.log(figures("the example django", proof));
    expect(complaints(proof)).toEqual([]);
    second = proof.result;
    const [count, release] = await visit();
    expect(Number(count)).toBeGreaterThan(2);
    expect(release).toBe(second);
    expect(readFileSync(kept("secret_key"), "utf8")).toBe(key);
  });

  test("a migration that fails ends the deploy before anything is started", async () => {
    await box.commit({ "visits/migrations/0002_bad.py": MIGRATION("ALTER TABLE missing ADD x") });
    const pushed = await box.push();
    expect(ended(pushed, 1)).toBe("1");
    expect(pushed.text).toMatch(/no such table: missing[\s\S]*FAILED at pre-deploy: .*python manage\.py migrate/);
    expect((await visit())[1]).toBe(second);
    await box.git("reset", "--quiet", "--hard", "HEAD~1");
  });

  test("SECRET_KEY of the env file goes before the one that is kept", async () => {
    appendFileSync(join(box.base, ".env.production"), "SECRET_KEY=the-operators-own-key\n");
    writeFileSync(kept("secret_key"), "not this one");
    const urls = readFileSync(join(box.code, "mysite/urls.py"), "utf8");
    const shows = `from django.conf import settings
from django.http import HttpResponse

urlpatterns += [path("key", lambda request: HttpResponse(str(len(settings.SECRET_KEY))))]
`;
    await box.release({ "mysite/urls.py": `${urls}${shows}` });
    expect(await box.answer("/key")).toBe(String("the-operators-own-key".length));
  });

  test("rollback goes back, and the database stays", async () => {
    const [before] = await visit();
    expect(ended(await box.dp("rollback", box.app))).toBe("0");
    const [count, release] = await visit();
    expect([Number(count), release]).toEqual([Number(before) + 1, second]);
  });
});
