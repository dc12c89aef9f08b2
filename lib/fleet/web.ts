// The page on this machine alone: a server on 127.0.0.1 for one browser that knows a token.
import { timingSafeEqual } from "node:crypto";
import { codeOf, DpError } from "../errors.ts";
import { jsonText } from "../text/text.ts";
import { pageOf, type Page } from "./page.ts";

export interface Web {
  /** The address with the token, good for one browser. */
  url: string;
  /** Sends the document to every tab. */
  changed(): void;
  stop(): Promise<void>;
}

const HEADERS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
  "Cross-Origin-Resource-Policy": "same-origin",
};
/** A document is sent at least this often, in ms. */
const BEAT = 15_000;
/** Tabs at a time. */
const TABS = 32;

const secret = () => crypto.getRandomValues(new Uint8Array(16)).toHex();

function isSame(given: string | null | undefined, wanted: string): boolean {
  const [a, b] = [Buffer.from(given ?? ""), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Serves the page and what `document` gives. Throws DpError "host" when the port is taken; 0 is any free one. */
export async function serveWeb(document: () => unknown, port: number): Promise<Web> {
  const page = await pageOf("events");
  const tabs = makeTabs(document);
  // Good once: the address of a browser can be read in the list of processes.
  let token: string | null = secret();
  const cookie = secret();
  const login = (given: string | null): Response | null => {
    if (token === null || !isSame(given, token)) return null;
    token = null;
    const set = `${nameOf(server.port!)}=${cookie}; HttpOnly; SameSite=Strict; Path=/`;
    return new Response(null, { status: 303, headers: { ...HEADERS, Location: "/", "Set-Cookie": set } });
  };
  const server = listen(port, (request, own) => {
    const { pathname, searchParams } = new URL(request.url);
    const wrong = refusal(request, own.port!);
    if (wrong !== null) return wrong;
    if (pathname === "/" && searchParams.has("t") && request.method === "GET")
      return login(searchParams.get("t")) ?? denied();
    if (!isSame(cookieIn(request, own.port!), cookie)) return denied();
    if (pathname === "/") return pageAnswer(page);
    if (pathname !== "/events") return answer(404, "there is nothing here");
    own.timeout(request, 0);
    return tabs.open(request.method === "HEAD");
  });
  const beat = setInterval(tabs.send, BEAT);
  return {
    url: `http://127.0.0.1:${server.port}/?t=${token}`,
    changed: tabs.send,
    async stop() {
      clearInterval(beat);
      tabs.close();
      await server.stop(true);
    },
  };
}

function listen(
  port: number,
  fetch: (request: Request, server: Bun.Server<undefined>) => Response,
): Bun.Server<undefined> {
  try {
    return Bun.serve({ hostname: "127.0.0.1", port, fetch, error: () => answer(500, "an error of dp's") });
  } catch (cause) {
    if (codeOf(cause) !== "EADDRINUSE" && codeOf(cause) !== "EACCES") throw cause;
    throw new DpError("host", `port ${port} cannot be listened on`, { hint: "dp fleet --web takes a free one", cause });
  }
}

const answer = (status: number, words: string, more: Record<string, string> = {}) =>
  new Response(`${words}\n`, { status, headers: { ...HEADERS, "Content-Type": "text/plain; charset=utf-8", ...more } });

const denied = () => answer(403, "open the address that dp fleet --web has printed; it is good for one browser");

/** What no browser of the page's own would send: another method, another host (DNS rebinding), another origin. */
function refusal(request: Request, port: number): Response | null {
  if (request.method !== "GET" && request.method !== "HEAD")
    return answer(405, "only GET and HEAD", { Allow: "GET, HEAD" });
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  const { headers } = request;
  const origin = headers.get("Origin");
  const isOurs =
    hosts.includes(headers.get("Host") ?? "") && (origin === null || hosts.some((host) => origin === `http://${host}`));
  return isOurs ? null : answer(403, "this is not the address of the page");
}

// Cookies are shared by all ports of a host.
const nameOf = (port: number) => `dp-fleet-${port}`;

function cookieIn(request: Request, port: number): string | undefined {
  const all = (request.headers.get("Cookie") ?? "").split(/; */);
  return all.find((each) => each.startsWith(`${nameOf(port)}=`))?.slice(nameOf(port).length + 1);
}

function pageAnswer({ html, policy }: Page): Response {
  const type = { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy };
  return new Response(html, { headers: { ...HEADERS, ...type } });
}

/** The open tabs: each gets the whole document, as an event. */
function makeTabs(document: () => unknown) {
  const open = new Set<ReadableStreamDefaultController<string>>();
  const message = () => `data: ${jsonText(document())}\n\n`;
  const headers = { ...HEADERS, "Content-Type": "text/event-stream; charset=utf-8" };
  return {
    open(isHead: boolean): Response {
      if (isHead) return new Response(null, { headers });
      if (open.size >= TABS) return answer(503, "there are too many tabs");
      let own: ReadableStreamDefaultController<string>;
      const stream = new ReadableStream<string>({
        start(controller) {
          own = controller;
          open.add(controller);
          controller.enqueue(message());
        },
        cancel: () => void open.delete(own),
      });
      return new Response(stream.pipeThrough(new TextEncoderStream()), { headers });
    },
    send(): void {
      if (open.size === 0) return;
      const text = message();
      // A tab that has not taken the last one gets the next.
      for (const tab of open) if ((tab.desiredSize ?? 0) > 0) tab.enqueue(text);
    },
    close(): void {
      for (const tab of open) tab.close();
      open.clear();
    },
  };
}
