// A listening socket as people write it.

/** `127.0.0.1:8000`, `[::1]:8000`. */
export const socketText = ({ address, port }: { address: string; port: number }): string =>
  `${address.includes(":") ? `[${address}]` : address}:${port}`;
