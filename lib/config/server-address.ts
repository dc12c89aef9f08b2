// The address of a server as people write it: [USER@]HOST[:PORT].

/** A server as ssh takes it. */
export interface Address {
  host: string;
  user?: string;
  port?: number;
}

// It becomes words of a command that somebody pastes into a shell.
const ADDRESS =
  /^(?:([A-Za-z0-9_][A-Za-z0-9._-]*)@)?(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?)\]|([A-Za-z0-9_][A-Za-z0-9._-]*))(?::([0-9]{1,5}))?$/;

/** `[USER@]HOST[:PORT]` as ssh takes it, or null. */
export function serverOf(text: string): Address | null {
  const [, user, bracketed, plain, port] = ADDRESS.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port ?? 1) < 1 || Number(port ?? 1) > 65_535) return null;
  return { host, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port: Number(port) }) };
}
