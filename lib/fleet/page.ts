// The page: one file, templates/fleet.html, with the policy that allows its own script and nothing else.
import { template } from "../host/template.ts";

export interface Page {
  html: string;
  /** The Content-Security-Policy. */
  policy: string;
}

/** The page for a server that sends events, or for a folder with a fleet.json beside it. */
export async function pageOf(from: "events" | "file"): Promise<Page> {
  const text = await template("fleet.html");
  const script = /<script>(.*?)<\/script>/s.exec(text)?.[1];
  if (script === undefined) throw new Error("templates/fleet.html has no script");
  const hash = new Bun.CryptoHasher("sha256").update(script).digest("base64");
  const own = [
    ...["default-src 'none'", "style-src 'unsafe-inline'", `script-src 'sha256-${hash}'`, "connect-src 'self'"],
    ...["base-uri 'none'", "form-action 'none'"],
  ];
  const meta = `<meta http-equiv="Content-Security-Policy" content="${own.join("; ")}">`;
  const html = text
    .replace('<html lang="en">', `<html lang="en" data-from="${from}">`)
    .replace('<meta charset="utf-8">', `<meta charset="utf-8">\n${meta}`);
  // In a file it would be ignored, with a complaint of the browser's.
  return { html, policy: [...own, "frame-ancestors 'none'"].join("; ") };
}
