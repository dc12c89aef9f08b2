// `static` of deploy.yml: the served folder, and how it is served.
import * as v from "valibot";
import type { AppSettings } from "../../config/declared.ts";
import { claim, duration, mapping, must } from "../../config/field.ts";
import { pathProblem, plainPath } from "../../config/plain-path.ts";
import type { DeployConfig } from "../../config/types.ts";

/** The site of an app of type static. Paths are relative to the app's own folder, or to `root`. */
export interface StaticSite {
  root: string;
  spa: boolean;
  notFound?: string;
  /** Path pattern -> header -> value. */
  headers: Record<string, Record<string, string>>;
  /** Milliseconds that hashed assets of the previous release stay available. */
  keepAssets: number;
}

const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
const VALUE = /^[\x20-\x7e]{0,4096}$/;
// Headers of the connection and of the body's form: a wrong one would break the answer.
const OURS =
  /^(connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|content-(length|encoding|range)|accept-ranges|date|etag|last-modified|allow|vary)$/i;

function patternProblem(pattern: string): string | null {
  if (!/^\/[A-Za-z0-9._~!$&'()+,;=:@%/*-]{0,199}$/.test(pattern)) return "must be a path such as /assets/*";
  // Every request is matched against it, in the process that serves all apps.
  return (pattern.match(/\*+/g) ?? []).length > 2 ? 'may have "*" or "**" twice at most' : null;
}

const headers = v.pipe(
  v.record(
    v.string(),
    v.record(v.string(), v.string(must("a text")), must("a mapping of headers to texts")),
    must("a mapping of paths to headers"),
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const input = dataset.value;
    for (const [key, value] of Object.entries(input)) {
      const outer = { type: "object", origin: "value", input, key, value } as const;
      const problem = patternProblem(key);
      if (problem !== null) addIssue({ message: problem, path: [outer] });
      for (const [name, text] of Object.entries(value)) {
        const inner = { type: "object", origin: "value", input: value, key: name, value: text } as const;
        if (!NAME.test(name)) addIssue({ message: "is no name of a header", path: [outer, inner] });
        else if (OURS.test(name)) addIssue({ message: "is set by dp itself", path: [outer, inner] });
        else if (!VALUE.test(text))
          addIssue({ message: "may have printable ASCII characters only, on one line", path: [outer, inner] });
      }
    }
  }),
  v.check((rules) => Object.keys(rules).length <= 50, "has more than 50 paths"),
  v.description('More headers of the answers, by path: {"/assets/*": {X-Robots-Tag: noindex}}; * stays in a folder.'),
);

/** The schema of `static`. */
const staticSite = v.pipe(
  mapping({
    root: v.pipe(
      plainPath("the folder to serve, such as public or dist", (path) => (path === "." ? null : pathProblem(path))),
      v.description(
        "The folder to serve, relative to the app's own folder: public, the output of the build, or . for all of it.",
      ),
      v.examples(["public"]),
    ),
    spa: v.optional(
      v.pipe(
        claim(),
        v.description(
          "true: requests for pages that do not exist are answered with index.html, for the app's own router.",
        ),
      ),
      false,
    ),
    notFound: v.exactOptional(
      v.pipe(
        plainPath("a file of the served folder such as 404.html"),
        v.description("The page for everything that does not exist: 404.html."),
      ),
    ),
    headers: v.optional(headers, {}),
    keepAssets: v.optional(
      duration("0s", "168h", "How long the hashed assets of the release before stay reachable after a switch."),
      "24h",
    ),
  }),
  v.description("For type static: the folder to serve, and how."),
);

const settings: AppSettings = {
  deploy: staticSite,
  startsNothing: true,
  problems: (value) =>
    "static" in value
      ? []
      : [{ path: ["static"], what: 'missing, add "static: {root: FOLDER}", the folder that is served' }],
};

/** The site of an app; undefined for another type. */
export const siteIn = (config: DeployConfig) =>
  config.type === "static" ? (config.settings as StaticSite | undefined) : undefined;

export default settings;
