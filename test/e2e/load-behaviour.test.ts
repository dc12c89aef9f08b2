// How apps misbehave, under load: what that costs the clients, and what the deploy says of it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connectTo, type Connection } from "../fronts/relay/support/load-connection.ts";
import {
  ALL,
  QUICK,
  branchOf,
  complaints,
  configure,
  ended,
  figures,
  loadSandbox,
  smallApp,
  under,
  type Proof,
} from "../support/load-run.ts";
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await loadSandbox();
  await box.release(smallApp(box.app));
}, 60_000);
afterAll(() => box?.stop());

const deploy = async (mode = "", more = "") => {
  await box.commit(smallApp(box.app, mode, more));
  return box.push();
};

/** Puts the settings back as they were, and answers what is live: an app that behaves, by now. */
function normal(): string {
  const times = { verifyTime: "0s", drainTimeout: "10s", stopTimeout: "2s" };
  configure(box, { ...times, maxFailed: null, strategy: null, holdTimeout: null });
  return box.link("current")!;
}

function expectNothingLost(what: string, proof: Proof<Outcome>, releases: string[]): void {
  console.log(figures(what, proof));
  expect(complaints(proof)).toEqual([]);
  expect(proof.failed).toBe(0);
  expect(proof.watched.releases).toEqual(releases);
}

describe("an app that comes and goes as it likes", () => {
  test("ends at once on SIGTERM: nothing is lost", async () => {
    const old = normal();
    const proof = await under(box, ALL, () => deploy());
    expect(ended(proof.result)).toBe("0");
    expectNothingLost("ends at once on SIGTERM", proof, [old, box.link("current")!]);
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
  });

  test("ignores SIGTERM: it is killed when stopTimeout is over, and nothing is lost", async () => {
    const old = normal();
    configure(box, { stopTimeout: "1s" });
    let deaf = "";
    const proof = await under(box, ALL, async () => {
      expect(ended(await deploy("deaf"))).toBe("0");
      deaf = box.link("current")!;
      return deploy();
    });
    expect(ended(proof.result)).toBe("0");
    expectNothingLost("ignores SIGTERM", proof, [old, deaf, box.link("current")!]);
    expect(box.run().journal["retire"]!.took).toBeGreaterThanOrEqual(1_000);
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
  });

  // Five seconds on a person's machine; what counts is that it is many times the pause between two requests.
  const boot = process.env["CI"] ? 2 : 5;
  test(`needs ${boot} s to boot: the old release serves meanwhile`, async () => {
    const old = normal();
    const proof = await under(box, ALL, () => deploy(`slow-boot ${boot}`));
    expect(ended(proof.result)).toBe("0");
    expectNothingLost(`needs ${boot} s to boot`, proof, [old, box.link("current")!]);
    expect(box.run().journal["check"]!.took).toBeGreaterThan(boot * 900);
  });
});

describe("an app that is not what it seemed", () => {
  /** Deploys under load what must go back; answers the proof, once all is as it was. */
  async function refused(mode: string, says: RegExp, options = QUICK): Promise<Proof<Outcome> & { old: string }> {
    const [old, branch] = [box.link("current")!, await branchOf(box)];
    const proof = await under(box, options, () => deploy(mode));
    console.log(figures(mode, proof));
    expect(ended(proof.result, 1)).toBe("1");
    expect(proof.result.text).toMatch(says);
    expect(proof.result.text).toContain(`serving: ${old}`);
    expect(box.run().result).toMatchObject({ state: "failed", code: 7 });
    expect(box.link("current")).toBe(old);
    expect(await branchOf(box)).toBe(branch);
    expect(await box.answer()).toBe(old);
    expect(Object.keys(box.instances())).toEqual([old]);
    await box.git("reset", "--quiet", "--hard", branch);
    return { ...proof, old };
  }

  test("crashes a second after its first healthy answer to the public: goes back, and what waits is answered", async () => {
    normal();
    configure(box, { verifyTime: "3s" });
    const { result, failed, watched, failures, old } = await refused(
      "crash 1",
      /FAILED at verify: shop@\S+ (is not running|crashed)/,
    );
    expect(result.text).toMatch(
      / {2}! live for \d\.\d s; of [1-9]\d* requests of dp's own \d+ failed(?:, 1 had no answer yet)? *$/m,
    );
    // What the process had in hand when it died is gone with it; no front can ask a POST again. All else waited.
    const inHand = QUICK.keepAlive! + QUICK.fresh! + 4;
    expect(failed + watched.failures.length).toBeLessThanOrEqual(inHand);
    for (const { why } of failures) expect(why).toMatch(/status 502: [^]*without an answer|reset|EOF in the middle/i);
    expect(watched.releases).toEqual([old, box.ids().at(-1)!]);
  });

  test("listens on another port: it gets no request, and the port is named", async () => {
    normal();
    const files = smallApp(box.app, "wrong-port");
    const [old, branch] = [box.link("current")!, await branchOf(box)];
    const proof = await under(box, ALL, async () => {
      await box.commit({ ...files, "deploy.yml": files["deploy.yml"].replace("20s", "2s") });
      return box.push();
    });
    await box.git("reset", "--quiet", "--hard", branch);
    expect(ended(proof.result, 1)).toBe("1");
    expectNothingLost("listens on another port", proof, [old]);
    const [, wrong] = /listening on (\d+)/.exec(proof.result.text) ?? [];
    expect(proof.result.text).toContain(`the app listens on 127.0.0.1:${wrong}; it must listen on $PORT`);
    expect(box.run().result).toMatchObject({ state: "failed", code: 7 });
  });

  test("is sick as soon as it is live: goes back, and nothing is lost", async () => {
    normal();
    configure(box, { verifyTime: "3s" });
    const proof = await refused("sick", /FAILED at verify: GET .* through the relay: 500/, ALL);
    expect(proof.result.text).toMatch(/ {2}! live for \d\.\d s; of ([1-9]\d*) requests of dp's own \1 failed *$/m);
    expect(complaints(proof).filter((complaint) => !isBackAgain(complaint, proof.old))).toEqual([]);
    expect(proof.failed).toBe(0);
  });

  test("maxFailed: 0 and now and then a probe that fails: goes back", async () => {
    normal();
    configure(box, { verifyTime: "1s", maxFailed: 0 });
    const proof = await refused("flaky", /[1-9]\d* of dp's own requests failed .*maxFailed is 0/, ALL);
    expect(complaints(proof).filter((complaint) => !isBackAgain(complaint, proof.old))).toEqual([]);
    expect(proof.failed).toBe(0);
  });

  test("the same without maxFailed stays, and the receipt counts them", async () => {
    normal();
    configure(box, { verifyTime: "1s" });
    const proof = await under(box, ALL, () => deploy("flaky"));
    expect(ended(proof.result)).toBe("0");
    expect(proof.result.text).toMatch(/requests \d+, failed [1-9]\d*/);
    expect(proof.failed).toBe(0);
    normal();
    await box.release(smallApp(box.app));
  });

  // The old release answers again after the new one, as it must when a deploy goes back.
  const isBackAgain = (complaint: string, old: string) => complaint.startsWith(`${old} after `);
});

/** A websocket on the app, talking; answers how it ended. */
async function openWebsocket(): Promise<{ connection: Connection; closed: Promise<string> }> {
  const connection = await connectTo(box.port);
  const more =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const { status } = await connection.ask(`GET /ws HTTP/1.1\r\nHost: x\r\n${more}\r\n`, 10_000);
  expect(status).toBe(101);
  return { connection, closed: new Promise((resolve) => (connection.onClose = resolve)) };
}

/** A request that takes so many seconds; answers status and body, or why there was none. */
async function startSlow(seconds: number): Promise<string> {
  const connection = await connectTo(box.port);
  try {
    const { status, body } = await connection.ask(`GET /slow/${seconds} HTTP/1.1\r\nHost: x\r\n\r\n`, 30_000);
    return `${status} ${body}`;
  } catch (error) {
    return String(error);
  } finally {
    connection.close();
  }
}

describe("drainTimeout", () => {
  test("a request under way at the switch ends on the old release; nothing is cut", async () => {
    const old = normal();
    await box.commit(smallApp(box.app));
    const pushing = box.start(["git", "push", "production", "main"]);
    // Such a request is under way all the time, so at the switch, too.
    const answers: Promise<string>[] = [];
    while (box.link("current") === old) {
      answers.push(startSlow(0.5));
      await Bun.sleep(30);
    }
    const pushed = await pushing.done;
    expect(ended(pushed)).toBe("0");
    const all = await Promise.all(answers);
    // The last ones may have come after the switch.
    expect(new Set(all.slice(0, -3))).toEqual(new Set([`200 ${old}`]));
    expect(all.every((answer) => answer.startsWith("200 "))).toBe(true);
    expect(pushed.text).not.toContain("were cut");
  });

  test("one that takes longer is cut, a websocket is closed, and the deploy says both", async () => {
    const old = normal();
    configure(box, { drainTimeout: "1s" });
    const websocket = await openWebsocket();
    const slow = startSlow(12);
    await until("the request is under way", async () => (await routeOf()).inFlight[old]?.requests === 1);
    const proof = await under(box, QUICK, () => deploy());
    expect(ended(proof.result)).toBe("0");
    expect(proof.result.text).toContain("! 1 requests took longer than 1000 ms and were cut");
    expect(proof.result.text).toMatch(/retire .*closed 1 upgraded connections/);
    expect(await slow).not.toStartWith("200");
    expect(await websocket.closed).toBeDefined();
    expectNothingLost("one request is cut", proof, [old, box.link("current")!]);
  });

  test("a websocket that talks is closed in good order once the plain requests are done", async () => {
    const old = normal();
    const { connection, closed } = await openWebsocket();
    let echoed = 0;
    connection.onData = () => void echoed++;
    const talk = setInterval(() => connection.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])), 20);
    const pushed = await deploy();
    const why = await closed;
    clearInterval(talk);
    expect(ended(pushed)).toBe("0");
    expect(why).toBe("EOF");
    expect(echoed).toBeGreaterThan(3);
    expect(pushed.text).toContain("closed 1 upgraded connections");
    expect(pushed.text).not.toContain("were cut");
    expect(box.link("current")).not.toBe(old);
  });
});

const routeOf = async () => {
  const status = await relayAt(`${box.root}/var/lib/dp/relay`).status();
  return status.routes.find(({ app }) => app === box.app)!;
};

describe("strategy: restart, with the front", () => {
  const restart = { strategy: "restart", verifyTime: "0s" };

  test("requests wait while the app restarts, none is lost, and the time is printed", async () => {
    const old = normal();
    configure(box, restart);
    const proof = await under(box, ALL, () => deploy("slow-boot 1"));
    expect(ended(proof.result)).toBe("0");
    expectNothingLost("strategy restart", proof, [old, box.link("current")!]);
    const [, seconds] = /strategy restart: requests waited for (\d+\.\d) s/.exec(proof.result.text) ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(1);
    // The two never ran at once: the old one was gone before the new one was started.
    expect(proof.longestGap).toBeGreaterThan(900);
  });

  test("when the restart takes longer than holdTimeout they are answered 504, and the deploy says so", async () => {
    normal();
    configure(box, { ...restart, holdTimeout: "1s" });
    const proof = await under(box, QUICK, () => deploy("slow-boot 2"));
    console.log(figures("strategy restart, beyond holdTimeout", proof));
    expect(ended(proof.result)).toBe("0");
    expect(proof.failed).toBeGreaterThan(0);
    for (const { why } of proof.failures) expect(why).toMatch(/^status 504: .*\nshop: it was being restarted, and/);
    expect(proof.result.text).toMatch(/strategy restart: requests waited for \d+\.\d s/);
    expect(proof.result.text).toContain("! requests that waited longer than holdTimeout, 1 s, were answered 504");
    expect(await box.answer()).toBe(box.link("current")!);
  });

  test("a new release that is sick: the old one is started again, and what waited is answered", async () => {
    const old = normal();
    configure(box, { ...restart, holdTimeout: "30s" });
    const proof = await under(box, ALL, () => deploy("crash-at-boot"));
    expect(ended(proof.result, 1)).toBe("1");
    expectNothingLost("strategy restart that goes back", proof, [old]);
    expect(proof.result.text).toContain(`serving: ${old}, started again, and healthy`);
  });
});
