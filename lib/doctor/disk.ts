// Disk space: enough for the next deploy of an app, and for the server itself.
import { byHand, type Check } from "../contracts/check.ts";
import { sizeText } from "../config/size.ts";
import { freeRoom } from "../host/disk.ts";
import { deployments } from "../paths.ts";
import { roomFor, roomProblem } from "../release/room.ts";
import { appNames } from "../config/server.ts";

/** With less, not even a rollback can write its few files. */
const LEAST = { bytes: 1024 ** 2, files: 100 };

const command = (folder: string) => `du -xh -d 2 ${folder} | sort -h`;

const check: Check = {
  summary: "free disk and inodes",
  async app(app) {
    const { base } = app.places;
    const problem = roomProblem(await freeRoom(base), await roomFor(app));
    return problem ? [byHand("warning", `${problem}: the next one will be refused`, command(base))] : [];
  },
  async server() {
    if ((await appNames()).length === 0) return [];
    const { bytes, files } = await freeRoom(deployments());
    if (bytes >= LEAST.bytes && (files === null || files >= LEAST.files)) return [];
    const left = `${sizeText(bytes)}${files === null ? "" : ` and ${files} files`}`;
    return [byHand("error", `the disk of ${deployments()} is full: ${left} are left`, command(deployments()))];
  },
};
export default check;
