// The server of a launch, as it is typed: [USER@]HOST[:PORT].
import { DpError } from "../../errors.ts";
import { quoted } from "../../text/text.ts";
import type { Server } from "../ssh.ts";

const TYPED =
  /^(?:([\w][\w.-]*)@)?(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w][\w.-]*)|([0-9A-Fa-f:]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*))(?::(\d{1,5}))?$/;

/** Reads it. Throws DpError "usage" for anything else, so that no word of it is an option or a second word. */
export function serverOf(typed: string): Server {
  const [whole, user, bracketed, name, bare, port] = TYPED.exec(typed) ?? [];
  const number = port === undefined ? undefined : Number(port);
  if (whole === undefined || (bare !== undefined && port !== undefined) || number === 0 || (number ?? 1) > 65535)
    throw new DpError("usage", `${quoted(typed)} is not the name of a server`, {
      hint: "dp launch root@203.0.113.5, with an ssh port of its own: root@203.0.113.5:2222",
    });
  return { user, host: (bracketed ?? name ?? bare)!, port: number };
}
