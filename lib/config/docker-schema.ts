// The keys of deploy.yml and config.yml that are for apps of type docker.
import * as v from "valibot";
import { mapping, must, text, whole } from "./field.ts";
import type { Path } from "./yaml.ts";

/** How the image of an app of type docker is built and used. */
export interface DockerConfig {
  /** The Dockerfile, relative to the app's folder. */
  file: string;
  /** Build arguments. */
  args: Record<string, string>;
  /** The port that the app listens on in its container. */
  port?: number;
  /** The stage to build. */
  target?: string;
}

const relativePath = text(
  // podman hands a file of the name *.in to the C preprocessor, which reads any file of the server.
  /^(?!.*(?:^|\/)\.{0,2}(?:\/|$))(?!.*\.in$)[A-Za-z0-9._@+ /-]+$/,
  'a path inside the repository, such as docker/Dockerfile, and not end in ".in"',
);

const argument = v.pipe(
  v.union([v.string(), v.number(), v.boolean()], must("a text or a number")),
  v.transform(String),
  v.regex(/^[^\x00-\x1f\x7f]*$/, "must be one line"),
  v.maxLength(4096, "is longer than 4096 characters"),
);
const argumentName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "the name must be letters, digits and underscores, and start with no digit"),
);

/** The key docker of deploy.yml. */
export const docker = v.pipe(
  mapping({
    file: v.optional(
      v.pipe(
        relativePath,
        v.description("The Dockerfile, relative to the app's folder, which is what it builds from."),
      ),
      "Dockerfile",
    ),
    args: v.optional(
      v.pipe(
        v.record(argumentName, argument, must("a mapping of names to values")),
        v.description("Build arguments, for ARG of the Dockerfile; they stay in the image: no secrets."),
      ),
      {},
    ),
    port: v.exactOptional(
      v.pipe(
        whole(1, 65535),
        v.description(
          "The port that the app listens on in its container. Default: the one that the image exposes, or $PORT.",
        ),
      ),
    ),
    target: v.exactOptional(
      v.pipe(
        text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "the name of a stage"),
        v.description("The stage of the Dockerfile to build. Default: the last."),
      ),
    ),
  }),
  v.description("For type docker: how the image is built."),
);

/** What is wrong between the keys of a deploy.yml and type docker, as they were read. */
export function dockerProblems(value: Readonly<Record<string, unknown>>): { path: Path; what: string }[] {
  const { type, docker: own, build, shared } = value;
  const problems: { path: Path; what: string }[] = [];
  if (type === "docker") problems.push(...sharedProblems(own, shared));
  if (own !== undefined && type !== "docker" && typeof type === "string")
    problems.push({ path: ["docker"], what: "is for type: docker only, remove it" });
  if (build !== undefined && type === "docker")
    problems.push({
      path: ["build"],
      what: "an app of type docker is built by its Dockerfile, write a RUN line there",
    });
  for (const [key, what] of Object.entries(REFUSED))
    if (typeof own === "object" && own !== null && key in own) problems.push({ path: ["docker", key], what });
  return problems;
}

const fieldOf = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;

// Shared, it would be a link in the release, to a file that no commit has said anything about.
function sharedProblems(own: unknown, shared: unknown): { path: Path; what: string }[] {
  const file = fieldOf(own, "file") ?? "Dockerfile";
  if (typeof file !== "string") return [];
  return ["dirs", "files"].flatMap((kind) => {
    const names = fieldOf(shared, kind);
    const list: unknown[] = Array.isArray(names) ? names : [];
    return list.flatMap((name, index) =>
      typeof name === "string" && (file === name || file.startsWith(`${name}/`))
        ? [
            {
              path: ["shared", kind, index],
              what: `${file} is what the image is built by, and is read from the commit`,
            },
          ]
        : [],
    );
  });
}

// What users of other tools look for.
const REFUSED = {
  compose: "compose files are not read: dp runs one container, built by a Dockerfile",
  image: "images are built from the commit: a Dockerfile with FROM and that image is enough",
};
