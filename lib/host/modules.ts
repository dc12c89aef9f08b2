// dp's own modules that are found by the name of their file. In the bundle a table takes this file's place: bundle.ts.

/** Loads the module at an absolute path. */
export const loadModule = (path: string): Promise<unknown> => import(path);
