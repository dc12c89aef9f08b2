// Loads dp's own modules by path. In the bundle a table takes this file's place: see bundle/bundle.ts.

export const loadModule = (path: string): Promise<unknown> => import(path);
