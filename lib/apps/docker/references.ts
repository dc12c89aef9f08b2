// The images that a Dockerfile names. Those of dp's apps are in the same engine, and in the registry for which Docker has
// a certificate: a build must not take another app's files from them.
import { DpError } from "../../errors.ts";
import { shown } from "../../text/text.ts";

/** An instruction, joined from its lines, and the number of its first line. */
interface Instruction {
  line: number;
  text: string;
}

// By its short name, as the engines complete it, or in a registry that has an IP address for a name, as dp's own has.
const OWN =
  /^(?:docker:\/\/|docker-daemon:|containers-storage:(?:\[[^\]]*\])?)?(?:(?:(?:index\.)?docker\.io|localhost|[\d.]+:\d+|\[[\da-f:.]+\]:\d+)\/)?dp\//i;

/**
 * Throws DpError "config" when the Dockerfile names an image of dp's. `args`: the build arguments. What only the engine
 * can expand is not seen: see docs/docker.md.
 */
export function refuseOwnImages(text: string, file: string, args: Readonly<Record<string, string>>): void {
  // FROM knows the ARGs above the first FROM, and no others.
  const known = new Map<string, string>();
  let isTop = true;
  for (const { line, text: instruction } of instructionsOf(text)) {
    if (/^FROM\s/i.test(instruction)) isTop = false;
    if (isTop) for (const [name, value] of argsIn(instruction)) known.set(name, args[name] ?? expand(value, known));
    const images = imagesIn(instruction).map((image) => expand(unquoted(image), known));
    const own = images.find((image) => OWN.test(image));
    if (own === undefined) continue;
    const what = `${file}:${line}: ${shown(own)} names an image that dp made for an app, and no build may use it`;
    throw new DpError("config", what, {
      hint: "name a base image that is not dp's, or build what you need from the commit",
    });
  }
}

/** The names and defaults that an ARG declares. */
function argsIn(instruction: string): [name: string, value: string][] {
  const list = /^ARG\s+(.*)$/is.exec(instruction)?.[1] ?? "";
  const found = list.matchAll(/(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/g);
  return [...found].map(([, name, value = ""]) => [name!, unquoted(value)]);
}

/** The images that an instruction names, as they are written. */
function imagesIn(instruction: string): string[] {
  const syntax = /^#\s*syntax\s*=\s*(\S+)/i.exec(instruction)?.[1];
  if (syntax !== undefined) return [syntax];
  const [, word = "", flags = "", rest = ""] = /^(?:ONBUILD\s+)*(\w+)\s+((?:--\S+\s+)*)(.*)$/is.exec(instruction) ?? [];
  const from = [...flags.matchAll(/(?:--|[=,"'])from=("[^"]*"|'[^']*'|[^\s,"']+)/gi)].map(([, image]) => image!);
  if (word.toUpperCase() === "FROM") from.push(rest.split(/\s/, 1)[0]!);
  return from;
}

function instructionsOf(text: string): Instruction[] {
  const isBacktick = /^#\s*escape\s*=\s*`/im.test(text);
  const goesOn = isBacktick ? /`\s*$/ : /\\\s*$/;
  const found: Instruction[] = [];
  let open: Instruction | null = null;
  for (const [index, line] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const isComment = /^\s*(?:#|$)/.test(line);
    // Inside an instruction the engine leaves out comments and empty lines.
    if (isComment && open !== null) continue;
    open ??= { line: index + 1, text: "" };
    open.text += line.replace(goesOn, "");
    if (!isComment && goesOn.test(line)) continue;
    found.push({ line: open.line, text: open.text.trim() });
    open = null;
  }
  return open === null ? found : [...found, { line: open.line, text: open.text.trim() }];
}

const unquoted = (word: string) => word.trim().replace(/^(["'])(.*)\1$/, "$2");

/** Fills in `$NAME`, `${NAME}` and `${NAME:-default}`. */
function expand(text: string, known: ReadonlyMap<string, string>): string {
  const pattern = /\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})/g;
  return text.replace(pattern, (_, short: string | undefined, long: string | undefined, otherwise = "") => {
    const value = known.get(short ?? long ?? "") ?? "";
    return value === "" ? String(otherwise) : value;
  });
}
