// The relay's own answers, which name the app and the reason.
const REASONS: Record<number, string> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  404: "Not Found",
  408: "Request Timeout",
  421: "Misdirected Request",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

/** A complete answer with `Connection: close`; without a body for a HEAD request. */
export function refusal(status: number, app: string, why: string, isHead: boolean): Buffer {
  const reason = REASONS[status] ?? "Error";
  const text = `${status} ${reason}\n${status < 502 && status !== 501 ? `the request was refused: ${why}` : `${app}: ${why}`}\n`;
  const again = status === 503 ? "Retry-After: 1\r\n" : "";
  return Buffer.from(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\n` +
      `Cache-Control: no-store\r\n${again}Connection: close\r\n\r\n${isHead ? "" : text}`,
  );
}
