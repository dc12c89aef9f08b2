// A small load of GETs on kept-alive and on fresh connections, every answer looked at.

export interface StaticLoad {
  /** Ends it; answers how many requests there were, and what was wrong with those that failed. */
  stop(): Promise<{ requests: number; failed: string[] }>;
}

/** Eight clients ask for the paths in turn until they are stopped; anything but 200 is a failure. */
export function startLoad(port: number, paths: readonly string[]): StaticLoad {
  let isOver = false;
  let requests = 0;
  const failed: string[] = [];
  const client = async (keepalive: boolean, start: number) => {
    for (let turn = start; !isOver; turn++) {
      const path = paths[turn % paths.length]!;
      requests++;
      try {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`, { keepalive });
        await answer.arrayBuffer();
        if (answer.status !== 200) failed.push(`${path}: ${answer.status}`);
      } catch (error) {
        failed.push(`${path}: ${String(error)}`);
      }
      await Bun.sleep(turn % 4);
    }
  };
  const clients = Array.from({ length: 8 }, (_, index) => client(index % 2 === 0, index));
  return {
    async stop() {
      isOver = true;
      await Promise.all(clients);
      return { requests, failed };
    },
  };
}
