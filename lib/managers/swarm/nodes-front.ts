// The front of an app whose requests come in on every node: the front on this server, and the entrances follow it.
import type { Front, Route, Target } from "../../contracts/front.ts";
import { DpError, messageOf } from "../../errors.ts";
import type { InstanceName } from "../../host/instance.ts";
import { makeIo, silentLog, type Io } from "../../host/io.ts";
import { ensureEntrance, removeEntrance } from "./entrance.ts";
import { leadNowhere, leadTo, left, prepareEntries } from "./entries.ts";
import { GRACE } from "./proxy.ts";

/** Throws DpError "config" for what the front on this server does and an entrance would not. */
function requireOpen(own: Front, { listen, allow, basicAuth }: Omit<Route, "target">, port: number): void {
  const refuse = (why: string, hint: string) => new DpError("config", `swarm.entrance: ${why}`, { hint });
  if (!own.holdsPort)
    throw refuse(`it needs a front, and front: ${own.name} holds no port`, "write front: relay in config.yml");
  if (listen.port === port)
    throw refuse(`port ${port} is the app's own on this server`, "give the app another port in config.yml");
  const guard = allow !== undefined ? "allow" : basicAuth !== undefined ? "basicAuth" : null;
  if (guard !== null)
    throw refuse(`it would let in whom ${guard} keeps out`, `take entrance or ${guard} out of config.yml`);
}

/** Lets the entrances follow the front, which had another target since `begun`; says for how long both answered. */
async function follow(app: string, { id }: Target, begun: number, io: Io): Promise<void> {
  const led = await leadTo({ app, id });
  if (led === null)
    return io.warn(`the entrance leads nowhere until the next deploy: ${app}@${id} has no entry for it`);
  if (!led.hadOthers) return;
  const both = ((performance.now() - begun + GRACE) / 1000).toFixed(1);
  const whose = led.nodes === 1 ? "the entrance follows" : `the entrances of ${led.nodes} servers follow`;
  io.info(`${whose}: both releases served for up to ${both} s`);
}

const isClosed = async (own: Front, app: string) => (await own.status(app))?.maintenance !== undefined;
const targetOf = async (own: Front, app: string) => (await own.status(app))?.target ?? null;

/** Makes the entries that `prepare` has not; a server that cannot start its own is named, and the others go on. */
async function prepareOrWarn(instance: InstanceName, drain: number, io: Io): Promise<void> {
  try {
    await prepareEntries(instance, drain, io, "kept");
  } catch (error) {
    if (io.signal.aborted) throw error;
    io.warn(`not every entrance can follow: ${messageOf(error)}`);
  }
}

/** What `point` does on every server, after `change`, which is this server's part of it and waits for no other. */
const pointer = (own: Front, drain: number) => {
  const prepare = async (app: string, { id }: Target, io: Io) => {
    if (!(await isClosed(own, app))) await prepareEntries({ app, id }, drain, io);
  };
  const point = async (app: string, target: Target | null, io: Io, change?: () => Promise<void>) => {
    const begun = performance.now();
    await change?.();
    if (target === null || (await isClosed(own, app))) return leadNowhere(app);
    await prepareOrWarn({ app, id: target.id }, drain, io);
    await follow(app, target, begun, io);
  };
  return { prepare, point };
};

/** The front `own`, and the entrances on that port; `drain`: how long requests of an old release may last, in ms. */
export function withEntrances(own: Front, port: number, drain: number): Front {
  const { prepare, point } = pointer(own, drain);
  const { maintain } = own;
  return {
    ...own,
    prepare,
    async setup(route, io, makeWay) {
      requireOpen(own, route, port);
      const changes = await own.setup(route, io, makeWay);
      changes.push(...(await ensureEntrance(route, port, io)));
      const target = await targetOf(own, route.app);
      if (target !== null) await point(route.app, target, io);
      return changes;
    },
    point: (app, target, io) => point(app, target, io, () => own.point(app, target, io)),
    async drain(app, id, timeout, io) {
      const drained = await own.drain(app, id, timeout, io);
      await left({ app, id }, drain, io);
      return drained;
    },
    async remove(app, io) {
      await own.remove(app, io);
      await removeEntrance(app);
    },
    ...(maintain && {
      async maintain(app, maintenance, pass) {
        await maintain(app, maintenance, pass);
        const [target, io] = [await targetOf(own, app), makeIo(silentLog)];
        await point(app, target, io);
        // They still take requests for a moment.
        if (target !== null && maintenance !== null) await left({ app, id: target.id }, drain, io);
      },
    }),
  };
}
