// The roles of keys, and how a command declares which of them may use it.

/**
 * From the least to the most: each role may do what those before it may. "server" stands apart: another server of the app
 * may deploy together with this one, and nothing else. Who may operate changes no less than that.
 */
export const ROLES = ["view", "push", "operate", "server"] as const;
export type Role = (typeof ROLES)[number];

/** Whether a word is the name of a role. */
export const isRole = (word: string): word is Role => (ROLES as readonly string[]).includes(word);

/** Whether a role may do what another one may. */
export const isEnough = (has: Role, needed: Role): boolean =>
  has === "server" || needed === "server"
    ? has === needed || has === "operate"
    : ROLES.indexOf(has) >= ROLES.indexOf(needed);

/** A command line after its command, as the command itself reads it. */
export interface Typed {
  words: readonly string[];
  options: Readonly<Record<string, string | boolean>>;
}

/** Who may use a command by a key. A command without a role is refused to every key. */
export interface Access {
  /** The least role that may use it; null: no key may. A function where that depends on what is typed. */
  role?: Role | null | ((typed: Typed) => Role | null);
  /** The app that it is about; default: the first word. */
  app?: (words: readonly string[]) => string | undefined;
  /** More apps that it is about, for which the same role is needed. */
  others?: (words: readonly string[]) => readonly string[];
  /** Without an app it shows all of them: a key sees its own, by the option `--only`, which the gate sets. */
  isFiltered?: boolean;
}

/** The least role for a line of a command that declares `access`; null: no key may. */
export function roleFor({ role = null }: Access, typed: Typed): Role | null {
  return typeof role === "function" ? role(typed) : role;
}

/** The app that a line is about; undefined: it names none. */
export const appIn = ({ app = ([first]) => first }: Access, { words }: Typed): string | undefined => app(words);
