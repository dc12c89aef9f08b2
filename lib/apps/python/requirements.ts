// requirements.txt: its lines, the files that it includes, and whether anything local is installed.
import { posix } from "node:path";
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { readCommitted } from "../../git/committed.ts";
import { withVariables, type Variables } from "./variables.ts";

/** A requirements file with all included files. */
export interface Requirements {
  /** Path -> text with its variables replaced: the file itself and every -r and -c file. */
  files: Map<string, string>;
  /** Normalised names of the requested packages, "flask", and of the servers that they bring. */
  names: Set<string>;
  /** It requests nothing: only comments, or nothing at all. */
  isEmpty: boolean;
  /** A package comes from the release's folder, or from a place whose content the text does not fix. */
  isLocal: boolean;
  /** At least one line has a --hash, so every line needs one. */
  isHashed: boolean;
}

/** A package's name as PEP 503 compares it: `Flask_SQLAlchemy` is `flask-sqlalchemy`. */
export const normalName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, "-");

/** The lines of a requirements file: continuations joined, comments and empty lines removed. */
export function requirementLines(text: string): string[] {
  return text
    .replace(/^\uFEFF/, "")
    .replace(/\\\r?\n/g, " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

const INCLUDE = /^(-r|--requirement|-c|--constraint)(?:\s*=?\s*)(\S+)$/;
const ARCHIVE = /\.(whl|zip|tar|tar\.gz|tgz|tar\.bz2|tbz|tar\.xz)$/i;
const URL = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * Whether a requirement (not an option) is a folder or file of the release: `.`, `./pkg`, `wheels/a.whl`, `a @ file:…`.
 */
export function isLocalRequirement(requirement: string): boolean {
  const target = /^[\w.-]+\s*(?:\[[^\]]*\])?\s*@\s*(\S.*)$/.exec(requirement)?.[1] ?? requirement;
  if (/^file:/i.test(target)) return true;
  if (URL.test(target) || /^git\+/i.test(target)) return false;
  const path = target.replace(/\s*;.*$/, "").replace(/\[[^\]]*\]$/, "");
  return /^[./~]/.test(path) || path.includes("/") || ARCHIVE.test(path);
}

function isLocalOption(line: string): boolean {
  if (/^(-e|--editable)\b/.test(line)) return true;
  const links = /^(?:-f|--find-links)(?:\s*=?\s*)(\S+)$/.exec(line);
  return links !== null && (!URL.test(links[1]!) || /^file:/i.test(links[1]!));
}

/** The source of the files, and the values of their variables. */
interface Source {
  tree: Tree;
  variables: Variables;
}

/**
 * Reads requirements.txt of the commit and all included files, with the values of their variables. Null when there is
 * none. Throws DpError "config" when an included file is not in the commit.
 */
export async function readRequirements(tree: Tree, variables: Variables = {}): Promise<Requirements | null> {
  const [path, source] = ["requirements.txt", { tree, variables }];
  const text = await textOf(source, path);
  if (text === null) return null;
  const found: Requirements = { files: new Map(), names: new Set(), isEmpty: true, isLocal: false, isHashed: false };
  await take(source, path, text, found, false);
  return found;
}

async function textOf({ tree, variables }: Source, path: string): Promise<string | null> {
  const text = await readCommitted(tree, path, "by mark");
  return text === null ? null : withVariables(text, variables);
}

async function take(
  source: Source,
  path: string,
  text: string,
  found: Requirements,
  isConstraint: boolean,
): Promise<void> {
  found.files.set(path, text);
  for (const line of requirementLines(text)) {
    const include = INCLUDE.exec(line);
    if (include) await takeInclude(source, path, include[1]!, include[2]!, found, isConstraint);
    else takeLine(line, found, isConstraint);
  }
}

async function takeInclude(
  source: Source,
  path: string,
  option: string,
  name: string,
  found: Requirements,
  within: boolean,
): Promise<void> {
  const isConstraint = within || option === "-c" || option === "--constraint";
  if (URL.test(name) || name.includes("${")) {
    // The content there may change while the line does not.
    found.isLocal = true;
    if (!isConstraint) found.isEmpty = false;
    return;
  }
  const target = posix.join(posix.dirname(path), name);
  if (found.files.has(target)) return;
  const text = await textOf(source, target);
  if (text === null) {
    throw new DpError("config", `${path}: ${option} ${name}: no such file in the commit`, {
      hint: `git add ${target}, commit, push`,
    });
  }
  await take(source, target, text, found, isConstraint);
}

function takeLine(line: string, found: Requirements, isConstraint: boolean): void {
  if (/\s--hash[=\s]/.test(line)) found.isHashed = true;
  if (isLocalOption(line)) found.isLocal = true;
  if (isConstraint) return;
  if (/^(-e|--editable)\b/.test(line)) found.isEmpty = false;
  if (line.startsWith("-")) return;
  const requirement = line.replace(/\s--?[a-z].*$/, "");
  found.isEmpty = false;
  if (isLocalRequirement(requirement)) found.isLocal = true;
  for (const name of requestedNames(requirement)) found.names.add(name);
}

/** The normalised name of a requirement (`Flask[async]>=3`), or null when it does not begin with a name. */
export function requirementName(requirement: string): string | null {
  const match = /^([A-Za-z0-9][\w.-]*)\s*(?:[[<>=!~;@(]|$)/.exec(requirement);
  return match ? normalName(match[1]!) : null;
}

/** Packages that bring uvicorn -> the extras with which they do. */
const WITH_UVICORN: Readonly<Record<string, readonly string[] | "always">> = {
  fastapi: ["all", "standard", "standard-no-fastapi-cloud-cli"],
  "fastapi-cli": "always",
};

/** The normalised names that a requirement asks for: its own, and uvicorn's if it brings it (`fastapi[standard]`). */
export function requestedNames(requirement: string): string[] {
  const name = requirementName(requirement);
  if (name === null) return [];
  const extras = /^[\w.-]+\s*\[([^\]]*)\]/.exec(requirement)?.[1]?.split(",") ?? [];
  const by = Object.hasOwn(WITH_UVICORN, name) ? WITH_UVICORN[name]! : [];
  const brings = by === "always" || extras.some((extra) => by.includes(normalName(extra.trim())));
  return [...new Set([name, ...(brings ? ["uvicorn"] : [])])];
}
