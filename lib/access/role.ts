// The roles of keys, and how a command declares which of them may use it.

/**
 * From the least to the most: each role may do what those before it may. "server" stands apart: another server of the app
 * may deploy together with this one, and nothing else: it hands in built files, so no other role includes it.
 */
export const ROLES = ["view", "push", "operate", "server"] as const;
export type Role = (typeof ROLES)[number];

/** What a key has for an app: one role, or one of the first three and "server" as well. */
export const GRANTED = [...ROLES, "view,server", "push,server", "operate,server"] as const;
export type Granted = (typeof GRANTED)[number];

/** The roles in a typed word, `operate,server` in any order; null: no such roles, or two of which one has the other. */
export function grantedIn(word: string): Granted | null {
  const at = (role: string) => (ROLES as readonly string[]).indexOf(role);
  const sorted = word
    .split(",")
    .sort((a, b) => at(a) - at(b))
    .join(",");
  return GRANTED.find((each) => each === sorted) ?? null;
}

/** Each role by itself. */
export const rolesOf = (granted: Granted) => granted.split(",") as Role[];

/** Whether one of the roles may do what the needed one may. */
export const isEnough = (has: Granted, needed: Role): boolean =>
  rolesOf(has).some((role) => role === needed || (role !== "server" && ROLES.indexOf(role) >= ROLES.indexOf(needed)));

/** Whether something that was allowed before is no more. */
export const isLess = (now: Granted, before: Granted): boolean => rolesOf(before).some((role) => !isEnough(now, role));

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
