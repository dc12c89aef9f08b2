// The schema of deploy.yml: what a commit may ask for. Untrusted.
import * as v from "valibot";
import { messageOf } from "../errors.ts";
import { duration, mapping, must, oneOf, shellLine, text } from "./field.ts";
import { ownKeys, usualOf, type AppSettings, type Declared } from "./declared.ts";
import { hookProblem } from "./hook.ts";
import { plainPath } from "./plain-path.ts";
import { shared } from "./shared-schema.ts";
import { cron, processes } from "./process-schema.ts";
import { appName } from "../paths.ts";
import { plainText } from "../text/text.ts";

const name = v.pipe(
  v.string(must("text")),
  v.maxLength(28, "must be at most 28 characters long"),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      appName(dataset.value);
    } catch (error) {
      addIssue({ message: plainText(messageOf(error)) });
    }
  }),
  v.description(
    "The app's name, the one given to dp setup: a lower-case letter, then letters, digits and single dashes.",
  ),
  v.examples(["my-api"]),
);

// No scheme, no host, no "//": whatever the commit says, only the app itself gets the request.
const path = v.pipe(
  text(/^\/(?!\/)[A-Za-z0-9._~/%-]*(?:\?[A-Za-z0-9._~/%=&-]*)?$/, 'a path such as "/health"'),
  v.maxLength(1024, "must be at most 1024 characters long"),
  v.description("The path that answers when the app is ready, with a query if needed: /health"),
  v.examples(["/health"]),
);

const host = v.pipe(
  text(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(?::[0-9]{1,5})?$/, "a host name such as example.com"),
  v.description("The Host header of the check, for apps that answer only to some names. Default: the address itself."),
);

const isStatus = (code: number) => Number.isInteger(code) && code >= 200 && code <= 599 && (code < 300 || code > 399);
const statusWords = must("a status from 200 to 299 or 400 to 599 (a redirect never counts as healthy)");
const status = v.pipe(
  v.number(statusWords),
  v.check(isStatus, statusWords),
  v.integer(),
  v.minValue(200),
  v.maxValue(599),
);
const statuses = v.pipe(
  v.union(
    [
      status,
      v.pipe(v.array(status), v.nonEmpty("needs at least one status"), v.maxLength(20, "has more than 20 statuses")),
    ],
    statusWords,
  ),
  v.description(
    "The status, or a list of them, that counts as healthy; redirects never do. Default: any from 200 to 299.",
  ),
  v.transform((codes) => (typeof codes === "number" ? [codes] : codes)),
);

// dp sends these itself, or they would change the meaning of the request.
const OWN_HEADERS = ["host", "connection", "content-length", "transfer-encoding", "user-agent", "upgrade", "expect"];

const headers = v.pipe(
  v.record(
    v.pipe(
      text(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "the name of a header"),
      v.check((header) => !OWN_HEADERS.includes(header.toLowerCase()), "is a header that dp sends itself"),
    ),
    v.pipe(text(/^[\x20-\x7e]*$/, "a line of plain text"), v.maxLength(1000, "is longer than 1000 characters")),
    must("a mapping such as {X-Forwarded-Proto: https}"),
  ),
  v.maxEntries(20, "has more than 20 headers"),
  v.description("More headers of the request. With a host that is a name, X-Forwarded-Proto is https by default."),
);

const healthObject = mapping({
  path,
  host: v.exactOptional(host),
  headers: v.exactOptional(headers),
  status: v.exactOptional(statuses),
  timeout: v.optional(duration("100ms", "60s", "The time limit for one answer."), "5s"),
  interval: v.optional(
    duration("50ms", "60s", "The first pause between two tries while the app starts; it grows from try to try."),
    "50ms",
  ),
  startTimeout: v.optional(duration("1s", "15m", "The time limit from the start to the first healthy answer."), "60s"),
});

const healthCheck = v.pipe(
  v.union([path, healthObject], must('a path such as "/health", or a mapping with one')),
  v.description("How a new release proves that it is healthy: a path, or a mapping with path, host, status and times."),
  v.examples(["/health"]),
  v.transform((check) => (typeof check === "string" ? v.parse(healthObject, { path: check }) : check)),
);

const hook = (description: string) =>
  v.pipe(
    shellLine(),
    v.rawCheck(({ dataset, addIssue }) => {
      const problem = dataset.typed ? hookProblem(dataset.value) : null;
      if (problem !== null) addIssue({ message: problem });
    }),
    v.description(description),
  );

/** The schema of deploy.yml for the given app types; it keeps their own keys beside those of the core. */
export function deploySchema(types: Declared<AppSettings>) {
  const entries = declareKeys(types);
  return mapping({ ...entries, ...ownKeys(types, "deploy") } as typeof entries);
}

function declareKeys(types: Declared<AppSettings>) {
  return {
    name,
    type: v.pipe(oneOf(Object.keys(types)), v.description("What kind of app this is."), v.examples([usualOf(types)])),
    healthCheck: v.exactOptional(healthCheck),
    command: v.exactOptional(
      v.pipe(
        shellLine(),
        v.description("The shell line that starts the app; it listens on $DP_HOST:$PORT. Default: by the type."),
      ),
    ),
    build: v.exactOptional(
      v.pipe(
        shellLine(),
        v.description("A shell line that runs after the dependencies are installed; if it fails, the deploy fails."),
      ),
    ),
    hooks: v.optional(
      v.pipe(
        mapping({
          preDeploy: v.exactOptional(hook("Runs before the new release starts; if it fails, the deploy fails.")),
          postDeploy: v.exactOptional(hook("Runs after a successful deploy; if it fails, that is a warning.")),
        }),
        v.description("Shell lines or scripts of the repo (./scripts/migrate.sh), run in the new release's folder."),
      ),
      {},
    ),
    root: v.exactOptional(
      v.pipe(
        plainPath("a folder of the repo such as services/api"),
        v.description("The app's own folder, such as services/api. Default: the folder of this file."),
      ),
    ),
    shared: v.exactOptional(shared),
    processes: v.exactOptional(processes),
    cron: v.optional(cron, []),
  };
}
