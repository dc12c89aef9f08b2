// `shared` of deploy.yml: folders and files that outlive releases.
import * as v from "valibot";
import { mapping, must } from "./field.ts";
import { pathProblem, plainPath } from "./plain-path.ts";

/** Files and folders that outlive releases: names relative to the app's own folder. */
export interface Shared {
  dirs: string[];
  files: string[];
}

const name = plainPath(
  "the name of a file or folder such as uploads",
  (path) => pathProblem(path) ?? (path === "deploy.yml" ? "is read from the commit and cannot be shared" : null),
);

const names = (description: string) =>
  v.optional(
    v.pipe(
      v.array(name, must("a list of names such as [uploads]")),
      v.maxLength(100, "has more than 100 names"),
      v.description(description),
    ),
    [],
  );

const isInside = (inner: string, outer: string) => inner === outer || inner.startsWith(`${outer}/`);

/** The schema of `shared`: no name occurs twice, or lies inside another. */
export const shared = v.pipe(
  mapping({
    dirs: names("Folders, relative to the app's own folder: public/uploads."),
    files: names("Files, relative to the app's own folder: .secret."),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { dirs, files } = dataset.value;
    const all = [
      ...dirs.map((value, index) => ({ value, key: "dirs" as const, list: dirs, index })),
      ...files.map((value, index) => ({ value, key: "files" as const, list: files, index })),
    ];
    for (const [at, { value, key, list, index }] of all.entries()) {
      const other = all.find((candidate, where) => where !== at && isInside(value, candidate.value));
      if (!other || (other.value === value && all.indexOf(other) > at)) continue;
      const message = other.value === value ? "given twice, keep one" : `is inside ${other.value}, which is shared too`;
      const at1 = { type: "object", origin: "value", input: dataset.value, key, value: list } as const;
      const at2 = { type: "array", origin: "value", input: list, key: index, value } as const;
      addIssue({ message, path: [at1, at2] });
    }
  }),
  v.description("Folders and files that all releases share; they are in shared/ of the app on the server."),
);
