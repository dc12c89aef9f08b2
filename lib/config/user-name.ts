// The users of basicAuth: their names, and their passwords as bcrypt has hashed them.
import { DpError } from "../errors.ts";

// A name is a key of YAML: it must not be a word that YAML reads as something else, and none has a colon.
const NAME = /^(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9._@-]{0,63}$/i;
/** `htpasswd -nB` writes `$2y$`. The cost is what a wrong password costs the server, too. */
const HASH = /^\$2[aby]\$(?:0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}$/;

/** Whether a user may have that name. */
export const isUserName = (name: string): boolean => NAME.test(name);

/** Whether a text is a password hashed by bcrypt, of cost 4 to 12. */
export const isPasswordHash = (text: string): boolean => HASH.test(text);

/** The name as it was typed. Throws DpError "usage" for a bad one. */
export function userName(typed: string): string {
  if (isUserName(typed)) return typed;
  throw new DpError("usage", `${JSON.stringify(typed)} is not a user: a letter, then letters, digits and . _ @ -`);
}
