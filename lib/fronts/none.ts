// No front: the app listens on the public port itself, so only one of its releases can run at a time.
import type { Front } from "../contracts/front.ts";

const none: Front = {
  name: "none",
  summary: "the app holds its port itself",
  holdsPort: false,
  unavailable: async () => null,
  async setup(_route, _io, makeWay) {
    await makeWay?.(false);
    return [];
  },
  point: async () => undefined,
  hold: async () => undefined,
  resume: async () => undefined,
  drain: async () => ({ requests: 0, tunnelsClosed: 0 }),
  status: async () => null,
  remove: async () => undefined,
};

export default none;
