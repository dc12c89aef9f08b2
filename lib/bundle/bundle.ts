// Makes dp quick to start: `bun lib/bundle/bundle.ts FOLDER` writes dp, a program that consists of Bun and dp, and dp.js, one file
// with its bytecode for whoever names bin/dp. The bytecode of the program is mapped, where that of a file is read and copied
// whole, and what is imported late lies in parts of its own: it starts in half the time.
//
// install.sh runs this once, in the folder where dp will stay: the bundles contain the paths of that folder. Bun itself
// checks that the bytecode fits the text and the Bun version, and falls back to the text otherwise.
import { dirname, join, relative } from "node:path";
import { messageOf } from "../errors.ts";

const lib = dirname(import.meta.dir);
const MODULES = join(lib, "host/modules.ts");
const STEPS = join(lib, "../steps/");
/** Folders whose files are loaded by name. */
const FOLDERS = ["apps", "managers", "fronts", "doctor", "notify/kinds", "../steps"].map((folder) => join(lib, folder));

/**
 * A replacement for modules.ts: a table of everything that is loaded by path. Files added later are still loaded from
 * disk.
 */
function table(): string {
  const files = FOLDERS.flatMap((folder) =>
    ["*.ts", "*/settings.ts"].flatMap((pattern) =>
      [...new Bun.Glob(pattern).scanSync({ cwd: folder })].sort().map((name) => join(folder, name)),
    ),
  );
  const lines = files.map((path) => `  ${JSON.stringify(path)}: () => import(${JSON.stringify(path)}),\n`);
  return `const table = {\n${lines.join("")}};\nexport const loadModule = (path) => (table[path] ?? (() => import(path)))();\n`;
}

const plugin: Bun.BunPlugin = {
  name: "dp",
  setup(build) {
    build.onLoad({ filter: /\/lib\/host\/modules\.ts$/ }, ({ path }) =>
      path === MODULES ? { contents: table(), loader: "js" } : undefined,
    );
    build.onLoad({ filter: /\/(?:lib|steps)\/.+\.ts$/ }, async ({ path }) => ({
      contents: inBundle(await Bun.file(path).text(), path),
      loader: "ts",
    }));
  },
};

/** The text of a module as it is bundled: it knows its own place. A step in a bundle is not a program of its own. */
function inBundle(text: string, path: string): string {
  const placed = text
    .replaceAll(/\bimport\.meta\.dir\b/g, JSON.stringify(dirname(path)))
    .replaceAll(/\bimport\.meta\.path\b/g, JSON.stringify(path));
  return path.startsWith(STEPS) ? placed.replace(/^if \(import\.meta\.main\) .*$/m, "") : placed;
}

const HOW = { target: "bun" as const, bytecode: true, plugins: [plugin] };

/** Nothing in the current folder has a say, as with the options of `program()`. */
const HARDENED = {
  autoloadDotenv: false,
  autoloadBunfig: false,
  autoloadTsconfig: false,
  autoloadPackageJson: false,
} as const;

/** Writes the bundles of dp's programs into a folder. Throws the bundler's errors. */
export async function bundle(folder: string): Promise<void> {
  await Bun.build({
    ...HOW,
    format: "cjs",
    entrypoints: [join(lib, "cli.ts")],
    outdir: folder,
    naming: "dp.js",
    // A fifth of the text, which each start of dp would read, and mail alone needs it.
    external: ["nodemailer"],
  });
  await Bun.build({
    ...HOW,
    format: "esm",
    splitting: true,
    entrypoints: [join(lib, "bundle/entry.ts")],
    compile: { outfile: join(folder, "dp"), ...HARDENED },
  });
}

if (import.meta.main) {
  const folder = process.argv[2];
  try {
    if (folder === undefined) throw new Error(`usage: ${relative(dirname(lib), import.meta.path)} FOLDER`);
    await bundle(folder);
  } catch (error) {
    console.error(error instanceof AggregateError ? error.errors.map(String).join("\n") : messageOf(error));
    process.exitCode = 1;
  }
}
