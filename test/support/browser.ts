// A real headless Chromium, driven over its DevTools protocol.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
const NAMES_HERE = "--host-resolver-rules=MAP *.test 127.0.0.1";
const program = NAMES.map((name) => Bun.which(name)).find((path) => path !== null);

/** Why there is no browser, or null. */
export const browserUnavailable = program ? null : "no chromium on this machine";

export interface Tab {
  /** Opens an address and waits until the page is loaded; answers why there is none, as `net::ERR_…`, or "". */
  open(url: string): Promise<string>;
  /** What the browser found of the connection of the page: "secure", or another of its words, and who issued it. */
  security(): { state: string; protocol: string; issuer: string; subject: string };
  /** The value of an expression in the page, which may be a promise. */
  eval<T>(expression: string): Promise<T>;
  /** Waits until an expression in the page is true. */
  until(expression: string): Promise<void>;
  /** The size of the window, and the colours that the user prefers. */
  look(width: number, height: number, scheme?: "light" | "dark", more?: Record<string, string>): Promise<void>;
  /** Presses a key: "ArrowDown", "/". */
  press(key: string): Promise<void>;
  /** A PNG of the window. */
  screenshot(): Promise<Uint8Array>;
  /** What the page complained about so far: errors, and what its policy forbade. */
  complaints: string[];
  /** The computed accessibility tree: role and name of each node. */
  roles(): Promise<{ role: string; name: string }[]>;
}

export interface Browser {
  tab(): Promise<Tab>;
  stop(): Promise<void>;
}

interface Message {
  id?: number;
  method?: string;
  sessionId?: string;
  params?: Record<string, unknown>;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** Why a browser cannot be given a root of the test's, or null. */
export const trustUnavailable = Bun.which("certutil") ? null : "there is no certutil";

/** Makes a root trusted as its user would: in the database of certificates in the browser's home. */
function trust(home: string, root: string): void {
  const database = join(home, ".pki/nssdb");
  mkdirSync(database, { recursive: true });
  for (const argv of [
    ["-N", "--empty-password"],
    ["-A", "-n", "test", "-t", "C,,", "-i", root],
  ]) {
    const { exitCode, stderr } = Bun.spawnSync(["certutil", "-d", `sql:${database}`, ...argv]);
    if (exitCode !== 0) throw new Error(stderr.toString());
  }
}

/** Starts a browser with a profile of its own, for which names that end in .test are 127.0.0.1. It trusts `root`, a PEM. */
export async function startBrowser(root?: string): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), "dp-browser-"));
  if (root !== undefined) trust(profile, root);
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"];
  const argv = [program!, ...flags, "--no-first-run", NAMES_HERE, `--user-data-dir=${profile}`, "about:blank"];
  // It adds its own flags of this machine's user otherwise.
  const env = { PATH: process.env["PATH"]!, HOME: profile, LANG: "C.UTF-8", TZ: "UTC" };
  const child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "ignore", stderr: "pipe", detached: true });
  const url = await listening(child.stderr);
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("no connection to the browser")));
  });
  const wire = wireOver(socket);
  return {
    tab: () => openTab(wire),
    async stop() {
      await wire.send("Browser.close");
      // Debian's program is a shell that waits for the browser: a signal to it alone would leave the browser behind.
      const limit = setTimeout(() => process.kill(-child.pid, "SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(limit);
      socket.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

interface Response {
  securityState: string;
  securityDetails?: { protocol: string; issuer: string; subjectName: string };
}

/** The address in `DevTools listening on ws://…`. */
async function listening(stderr: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const found = Promise.withResolvers<string>();
  void (async () => {
    for await (const chunk of stderr) {
      text += new TextDecoder().decode(chunk);
      const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (url) found.resolve(url);
    }
    found.reject(new Error(`the browser has ended: ${text}`));
  })();
  return found.promise;
}

type Wire = ReturnType<typeof wireOver>;

function wireOver(socket: WebSocket) {
  let last = 0;
  const waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  const listeners = new Set<(message: Message) => void>();
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(String(data)) as Message;
    const asked = message.id === undefined ? undefined : waiting.get(message.id);
    if (asked === undefined) return listeners.forEach((listener) => listener(message));
    waiting.delete(message.id!);
    if (message.error) asked.reject(new Error(message.error.message));
    else asked.resolve(message.result ?? {});
  });
  return {
    listeners,
    send(method: string, params: Record<string, unknown> = {}, sessionId?: string) {
      const id = ++last;
      const answer = Promise.withResolvers<Record<string, unknown>>();
      waiting.set(id, answer);
      socket.send(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }));
      return answer.promise;
    },
  };
}

async function openTab(wire: Wire): Promise<Tab> {
  const { targetId } = await wire.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await wire.send("Target.attachToTarget", { targetId, flatten: true });
  const send = (method: string, params: Record<string, unknown> = {}) => wire.send(method, params, String(sessionId));
  const complaints: string[] = [];
  let loaded = Promise.withResolvers<void>();
  let document: Response = { securityState: "" };
  wire.listeners.add(({ method, sessionId: of, params }) => {
    if (of !== sessionId) return;
    if (method === "Page.loadEventFired") loaded.resolve();
    const { response, type } = (params ?? {}) as { response?: Response; type?: string };
    if (method === "Network.responseReceived" && type === "Document") document = response!;
    if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") complaints.push(JSON.stringify(params));
  });
  for (const domain of ["Page", "Runtime", "Log", "Accessibility", "Network"]) await send(`${domain}.enable`);
  const evaluate = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  };
  return {
    complaints,
    security() {
      const { securityState: state, securityDetails: of } = document;
      return { state, protocol: of?.protocol ?? "", issuer: of?.issuer ?? "", subject: of?.subjectName ?? "" };
    },
    eval: evaluate,
    async open(url) {
      loaded = Promise.withResolvers<void>();
      document = { securityState: "" };
      const { errorText = "" } = (await send("Page.navigate", { url })) as { errorText?: string };
      if (errorText === "") await loaded.promise;
      return errorText;
    },
    async until(expression) {
      const end = performance.now() + 60_000;
      while (!(await evaluate<boolean>(`Boolean(${expression})`))) {
        if (performance.now() > end) throw new Error(`never true in the page: ${expression}`);
        await Bun.sleep(20);
      }
    },
    async look(width, height, scheme = "light", more = {}) {
      await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 700 });
      const features = Object.entries({ "prefers-color-scheme": scheme, ...more });
      await send("Emulation.setEmulatedMedia", { features: features.map(([name, value]) => ({ name, value })) });
    },
    async press(key) {
      const text = key.length === 1 ? { text: key } : key === "Enter" ? { text: "\r" } : {};
      const codes: Record<string, number> = {
        Enter: 13,
        ArrowDown: 40,
        ArrowUp: 38,
        Escape: 27,
        Tab: 9,
        Home: 36,
        End: 35,
      };
      const own = { key, windowsVirtualKeyCode: codes[key] ?? 0 };
      await send("Input.dispatchKeyEvent", { type: "keyDown", ...own, ...text });
      await send("Input.dispatchKeyEvent", { type: "keyUp", ...own });
    },
    async screenshot() {
      const { data } = await send("Page.captureScreenshot", { format: "png" });
      return Buffer.from(String(data), "base64");
    },
    async roles() {
      const { nodes } = await send("Accessibility.getFullAXTree");
      type Node = { ignored: boolean; role?: { value: string }; name?: { value: string } };
      return (nodes as Node[])
        .filter(({ ignored }) => !ignored)
        .map(({ role, name }) => ({ role: role?.value ?? "", name: name?.value ?? "" }));
    },
  };
}
