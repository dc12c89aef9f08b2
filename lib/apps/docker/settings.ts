// The keys of deploy.yml and config.yml for apps of type docker.
import * as v from "valibot";
import type { AppSettings } from "../../config/declared.ts";
import { mapping, must, text, whole } from "../../config/field.ts";
import { limitsOf } from "../../config/limits-schema.ts";
import { isMapping } from "../../config/parse.ts";
import type { Wrong } from "../../config/yaml.ts";

const relativePath = text(
  // podman runs a file named *.in through the C preprocessor, which can include any file of the server.
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
  v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "the name must be letters, digits and underscores, not starting with a digit"),
);

/** The key docker of deploy.yml. */
const docker = v.pipe(
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
        v.description("Build arguments for ARG in the Dockerfile. They stay in the image, so no secrets."),
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

// A shared Dockerfile would be a link in the release, to a file that is not part of the commit.
function sharedProblems(own: unknown, shared: unknown): Wrong[] {
  const file = (isMapping(own) ? own["file"] : undefined) ?? "Dockerfile";
  if (typeof file !== "string" || !isMapping(shared)) return [];
  return ["dirs", "files"].flatMap((kind) => {
    const names = shared[kind];
    const list: unknown[] = Array.isArray(names) ? names : [];
    return list.flatMap((name, index) =>
      typeof name === "string" && (file === name || file.startsWith(`${name}/`))
        ? [
            {
              path: ["shared", kind, index],
              what: `${file} is the Dockerfile, and it is read from the commit`,
            },
          ]
        : [],
    );
  });
}

function checkProblems(processes: unknown): Wrong[] {
  const what = "would run beside the container, not in it; use stayUp";
  return Object.entries(isMapping(processes) ? processes : {}).flatMap(([name, process]) => {
    const check = isMapping(process) ? process["healthCheck"] : undefined;
    return isMapping(check) && "command" in check
      ? [{ path: ["processes", name, "healthCheck", "command"], what }]
      : [];
  });
}

// Keys that users of other tools look for.
const REFUSED = {
  compose: "compose files are not read: dp runs one container, built by a Dockerfile",
  image: "images are built from the commit: a Dockerfile with FROM that image is enough",
};

function problems({ docker: own, build, shared, processes }: Readonly<Record<string, unknown>>): Wrong[] {
  const found = [...sharedProblems(own, shared), ...checkProblems(processes)];
  if (build !== undefined)
    found.push({
      path: ["build"],
      what: "type docker is built by its Dockerfile: write a RUN line there",
    });
  for (const [key, what] of Object.entries(REFUSED))
    if (isMapping(own) && key in own) found.push({ path: ["docker", key], what });
  return found;
}

const settings: AppSettings = {
  deploy: docker,
  server: limitsOf("a container", "Limits of a container of an app of type docker."),
  problems,
};

export default settings;
