// A name under `shared`: a plain relative path, the same in a release and in the app's folder shared/.

const PART = /^[A-Za-z0-9._@+-]+$/;

/** Why a name cannot be shared, or null when it can. */
export function sharedNameProblem(name: string): string | null {
  if (name === "") return "is empty, write the name of a file or folder";
  if (name.length > 255) return "is longer than 255 characters";
  if (name.startsWith("/"))
    return `must be relative to the app's folder, write ${name.replace(/^\/+/, "") || "a name"}`;
  const parts = name.split("/");
  if (parts.includes("..")) return 'must stay inside the app\'s folder, without ".."';
  if (parts.some((part) => part === "" || part === "."))
    return `must be plain, write ${parts.filter((part) => part !== "" && part !== ".").join("/") || "a name"}`;
  if (!parts.every((part) => PART.test(part))) return "may have letters, digits and . _ @ + - / only";
  if (parts.includes(".git")) return "is git's own, and no release has it";
  return name === "deploy.yml" ? "is read from the commit, and cannot be shared" : null;
}
