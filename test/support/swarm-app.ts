// An app for swarms: an image of the small programs, whose pages say the version, its settings and its node.
import type { Sandbox } from "./sandbox.ts";

const DOCKERFILE = `FROM base:shell
COPY . /app
WORKDIR /app
EXPOSE 8080
CMD ["sh", "start"]
`;

const START = `mkdir -p /www
cat say > /www/index.html
echo "$GREETING $(cat "$TOKEN_FILE" 2>/dev/null)" > /www/settings
hostname > /www/task
[ "$(cat mode)" = unhealthy ] || echo ok > /www/health
[ "$(cat mode)" != crash ] || { echo boom: it does not start; exit 3; }
echo "serving $(cat say)"
trap 'kill $!; exit 0' TERM
httpd -f -p "$PORT" -h /www & wait
`;

const yml = (app: string, stayUp: string) => `name: ${app}
type: docker
healthCheck: {path: /health, startTimeout: 20s, interval: 100ms}
processes:
  worker: {command: sh worker, healthCheck: {stayUp: ${stayUp}}}
cron:
  - {name: clean, schedule: "0 3 * * *", command: echo cleaned by $(cat say)}
`;

/** The files of a version; `mode` is how its web process behaves, `worker` what its worker runs. */
export const version = (
  say: string,
  { app = "shop", mode = "well", worker = "echo working; exec sleep 1000", stayUp = "1s" } = {},
) => ({
  ...{
    "deploy.yml": yml(app, stayUp),
    Dockerfile: DOCKERFILE,
    start: START,
    say: `${say}\n`,
    mode,
    worker: `${worker}\n`,
  },
  "server.py": null,
});

/** A push that is refused: what it said, once it is known that `says` still answers. */
export async function refusedPush(box: Sandbox, files: Record<string, string | null>, says: string): Promise<string> {
  await box.commit(files);
  const { code, text } = await box.push();
  if (code === 0) throw new Error(`the push was taken:\n${text}`);
  const now = (await box.answer()).trim();
  if (now !== says) throw new Error(`${now} answers, not ${says}:\n${text}`);
  return text;
}
