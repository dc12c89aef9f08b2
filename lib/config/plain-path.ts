// Names of files and folders in deploy.yml: plain relative paths that stay inside the repo.
import * as v from "valibot";
import { must } from "./field.ts";

const PART = /^[A-Za-z0-9._@+-]+$/;

/** Why a text is not a plain relative path of the repo, or null when it is one. */
export function pathProblem(path: string): string | null {
  if (path === "") return "is empty, write the name of a file or folder";
  if (path.length > 255) return "is longer than 255 characters";
  if (path.startsWith("/")) return `must be relative, write ${path.replace(/^\/+/, "") || "a name"}`;
  const parts = path.split("/");
  if (parts.includes("..")) return 'must stay inside the repo, without ".."';
  if (parts.some((part) => part === "" || part === "."))
    return `must be plain, write ${parts.filter((part) => part !== "" && part !== ".").join("/") || "a name"}`;
  if (!parts.every((part) => PART.test(part))) return "may have only letters, digits and . _ @ + - /";
  return parts.includes(".git") ? "is git's own, and no release has it" : null;
}

/** A plain relative path; `be` ends the sentence "must be …". `problem` may add further rules. */
export function plainPath(be: string, problem: (path: string) => string | null = pathProblem) {
  return v.pipe(
    v.string(must(be)),
    v.rawCheck(({ dataset, addIssue }) => {
      const message = dataset.typed ? problem(dataset.value) : null;
      if (message !== null) addIssue({ message });
    }),
  );
}
