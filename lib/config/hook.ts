// A hook's line in deploy.yml: a shell line, or a path to a script of the repo.

const SCRIPT = /^[A-Za-z0-9._@+/-]+$/;

// A line that begins with an assignment (`A=b/c cmd`) is left to the shell and names no file.
const firstWord = (line: string) => line.trim().split(/\s+/)[0]!;
const isScript = (word: string) => word.includes("/") && !/^[A-Za-z_][A-Za-z0-9_]*=/.test(word);

/** Why a hook's line cannot run, or null when it can: a script must be a plain relative path inside the repo. */
export function hookProblem(line: string): string | null {
  const word = firstWord(line);
  if (!isScript(word)) return null;
  if (word.startsWith("/")) return "must be a script of the repo, relative to its root: ./scripts/migrate.sh";
  if (!SCRIPT.test(word)) return "the script's path may have only letters, digits and . _ @ + - /";
  const parts = word.split("/");
  if (parts.includes("..")) return 'the script\'s path must stay inside the repo, without ".."';
  if (parts.at(-1) === "" || parts.at(-1) === ".") return "names a folder, not a script";
  return null;
}

/**
 * The file in the repo that a hook's line runs, `scripts/migrate.sh` for `./scripts/migrate.sh --all`; null when the
 * first word is a plain command such as `flask`, or when `hookProblem` refuses the line.
 */
export function hookFile(line: string): string | null {
  const word = firstWord(line);
  if (!isScript(word) || hookProblem(line) !== null) return null;
  return word
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}
