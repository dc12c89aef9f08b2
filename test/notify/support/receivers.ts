// Receivers on loopback, as they are found out there: one answers, one hangs, one drips, one is gone.
import { freePort } from "../../support/port.ts";

/** A request as it arrived. */
export interface Arrived {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** In ms of the machine's clock. */
  at: number;
}

export interface Receiver {
  url: string;
  got: Arrived[];
  stop(): void;
}

type Answer = (count: number) => Response | Promise<Response>;

/** A server that answers each POST; `count`: how many came before. */
export function receiver(answer: Answer = () => new Response("ok")): Receiver {
  const got: Arrived[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const at = Date.now();
      const { pathname } = new URL(request.url);
      const count = got.length;
      got.push({ path: pathname, headers: Object.fromEntries(request.headers), body: await request.text(), at });
      return answer(count);
    },
  });
  return { url: `http://127.0.0.1:${server.port}/hook`, got, stop: () => void server.stop(true) };
}

/** One that takes the connection and never answers. */
export function hanging(): Receiver {
  const got: Arrived[] = [];
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (_, data) => void got.push({ path: "", headers: {}, body: data.toString(), at: Date.now() }) },
  });
  return { url: `http://127.0.0.1:${server.port}/hook`, got, stop: () => server.stop(true) };
}

/** One that answers at once, and whose body never ends. */
export const dripping = (): Receiver =>
  receiver(() => {
    let timer: Timer;
    const body = new ReadableStream({
      start(controller) {
        timer = setInterval(() => controller.enqueue("."), 20);
      },
      cancel: () => clearInterval(timer),
    });
    return new Response(body);
  });

/** An address on which nobody listens. */
export const refusing = async (): Promise<string> => `http://127.0.0.1:${await freePort()}/hook`;
