// Names with a hash, as five bundlers make them, and names that people give: how many of each are told right.
import { describe, expect, test } from "bun:test";
import { isHashed, looksHashed, mayBeHashed } from "../../../lib/apps/static/hashed.ts";

const COUNT = 20_000;
const HEX = "0123456789abcdef";
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const BASE32 = `${LETTERS}234567`;
const BASE64 = `${LETTERS}${LETTERS.toLowerCase()}0123456789_-`;

/** The same numbers at every run: Park and Miller's. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * below);
  };
}

const STEMS = [
  "index",
  "main",
  "vendor-react",
  "chunk",
  "app",
  "logo",
  "Home",
  "node_modules_lodash",
  "317",
  "_layout",
];

/** How a bundler names its files; the hash is of so many `signs`. */
interface Pattern {
  signs: string;
  length: number;
  name(stem: string, hash: string, pick: (below: number) => number): string;
}
const ending = (pick: (below: number) => number) => ["js", "css", "js.map", "svg", "woff2", "png"][pick(6)]!;
const dashed: Pattern["name"] = (stem, hash, pick) => `${stem}-${hash}.${ending(pick)}`;
const dotted: Pattern["name"] = (stem, hash, pick) => `${stem}.${hash}.${ending(pick)}`;
const PATTERNS: Record<string, Pattern> = {
  Vite: { signs: BASE64, length: 8, name: dashed },
  "Vite before 4": { signs: HEX, length: 8, name: dotted },
  Rollup: { signs: BASE64, length: 8, name: dashed },
  "Rollup before 4": { signs: HEX, length: 8, name: dashed },
  SvelteKit: { signs: BASE64, length: 8, name: (stem, hash, pick) => (pick(2) ? `${hash}.js` : `${stem}.${hash}.js`) },
  webpack: { signs: HEX, length: 20, name: dotted },
  "webpack, eight signs": { signs: HEX, length: 8, name: (stem, hash) => `${stem}.${hash}.chunk.js` },
  "webpack, assets": { signs: HEX, length: 20, name: (_, hash, pick) => `${hash}.${ending(pick)}` },
  esbuild: { signs: BASE32, length: 8, name: dashed },
  Parcel: { signs: HEX, length: 8, name: dotted },
};

function namesOf({ signs, length, name }: Pattern, seed: number): string[] {
  const pick = numbers(seed);
  const hash = () => Array.from({ length }, () => signs[pick(signs.length)]).join("");
  return Array.from({ length: COUNT }, () => name(STEMS[pick(STEMS.length)]!, hash(), pick));
}
const rate = (names: readonly string[], is: (name: string) => boolean) =>
  Math.round((1000 * names.filter(is).length) / names.length) / 10;

describe("of 20,000 names", () => {
  // The share that is known by the name alone, and with the word of the commit that nobody gave it.
  test.each([
    ["Vite", 79, 94],
    ["Vite before 4", 96, 97],
    ["Rollup", 79, 94],
    ["Rollup before 4", 96, 97],
    ["SvelteKit", 79, 94],
    ["webpack", 99.9, 99.9],
    ["webpack, eight signs", 96, 97],
    ["webpack, assets", 99.9, 99.9],
    ["esbuild", 34, 99.9],
    ["Parcel", 96, 97],
  ])("of %s at least %d %% are known, and %d %% when a build made them", (bundler, alone, made) => {
    const names = namesOf(PATTERNS[bundler]!, 20_261);
    const found = [rate(names, isHashed), rate(names, (name) => isHashed(name) || looksHashed(name))];
    console.log(`${bundler}: ${found[0]} % by the name alone, ${found[1]} % when a build made it`);
    expect(found[0]).toBeGreaterThanOrEqual(alone);
    expect(found[1]).toBeGreaterThanOrEqual(made);
    // What is not known for sure is kept for a while all the same.
    expect(rate(names, mayBeHashed)).toBeGreaterThanOrEqual(97);
  });
});

const WORDS = (
  "about account activity address admin analytics animation archive article author avatar background banner basket " +
  "billing bootstrap brochure browser building business calendar campaign capture carousel category checkout chevron " +
  "children christmas collection comments community compiled component confetti contract controls corporate currency " +
  "customer dashboard database datepicker december decorate delivery desktop developer discount document download " +
  "dropdown ecommerce elements employee engineer envelope evidence exercise explorer facebook facade favicon february " +
  "feedback festival firewall flexible fontawesome football footnote fragment frontend function gallery geometry github " +
  "graphics greeting hamburger handbook hardware headline helvetica highlight homepage horizontal identity illustration " +
  "incoming industry instagram internet invoice javascript jquery keyboard landscape language launcher leaflet license " +
  "linkedin location magazine maintenance marketing material messenger migration minified modernizr mountain multiple " +
  "navigation newsletter notebook november october offline onboarding operator original overview packages parallax " +
  "partners password payments pictures pinterest placeholder platform playlist podcast polyfill portfolio portrait " +
  "position postcard practice preview printing products profile progress property purchase question realtime receiver " +
  "register relative reminder resource response security september services settings shopping sidebar snapshot " +
  "software solution spotlight standard stylesheet subscribe template terminal testimonial textarea thumbnail timeline " +
  "tooltips transition tutorial twitter typography underline universe upgrade vacation validate variable vertical " +
  "veterans volunteer wallpaper warranty wedding weekend whatsapp wireframe wordpress worldwide yesterday youtube"
).split(" ");
const KINDS = ["js", "min.js", "css", "png", "jpg", "svg", "woff2", "json", "mp4", "js.map"];
const title = (word: string) => word[0]!.toUpperCase() + word.slice(1);
const START = Date.UTC(2016, 0, 1);

/** Names as people give them: words in every way to write two of them, numbers, sizes, versions, dates. */
function ordinaryNames(): string[] {
  const pick = numbers(4_711);
  const word = () => WORDS[pick(WORDS.length)]!;
  const day = () => new Date(START + pick(4_000) * 86_400_000).toISOString().slice(0, 10);
  const month = () => ["Jan", "Feb", "Mar", "May", "Jul", "Sep", "Dec"][pick(7)]!;
  const ways: (() => string)[] = [
    () => `${word()}-${word()}`,
    () => `${word()}_${word()}`,
    () => `${word()}.${word()}`,
    () => `${word()}${title(word())}`,
    () => `${word()}-${title(word()).slice(0, 4)}${title(word()).slice(0, 4)}`,
    () => `${word()}-${word().slice(0, 3)}${title(word()).slice(0, 5)}`,
    () => `${title(word())}-${title(word()).slice(0, 6)}${10 + pick(90)}`,
    () => `${word()}-i${title(word()).slice(0, 5)}${10 + pick(90)}`,
    () => `${word()}-${word().slice(0, 7)}${pick(10)}`,
    () => `${word().toUpperCase()}-${word().toUpperCase()}`,
    () => `${word()}-${word().slice(0, 5).toUpperCase()}${100 + pick(900)}`,
    () => `${word()}-${word().slice(0, 6).toUpperCase()}${2 + pick(3)}X`,
    () => `IMG_${1000 + pick(9000)}`,
    () => `DSC${10_000 + pick(90_000)}`,
    () => `${word()}-${day()}`,
    () => `${word()}-${day().replaceAll("-", "")}`,
    () => `${word()}_${day().replaceAll("-", "")}_${100_000 + pick(900_000)}`,
    () => `${word()}-${month()}${2016 + pick(11)}`,
    () => `${word()}-${1 + pick(12)}.${pick(30)}.${pick(20)}`,
    () => `${word()}-v${pick(10)}-${pick(10)}-${pick(10)}`,
    () => `${word()}-${100 * (1 + pick(40))}x${100 * (1 + pick(30))}`,
    () => `${word()}-${10_000_000 + pick(90_000_000)}`,
    () => `facade${pick(10)}${pick(10)}`,
    () => `${word()}@${2 + pick(2)}x`,
    word,
  ];
  return Array.from({ length: COUNT }, (_, index) => `${ways[index % ways.length]!()}.${KINDS[pick(KINDS.length)]}`);
}

test("of 20,000 names that people give, none is taken for one with a hash", () => {
  expect(ordinaryNames().filter(isHashed)).toEqual([]);
});

test.each([
  ["jquery-compiled.js", false],
  ["report-december.pdf", false],
  ["report-december.json", false],
  ["main-navigation.css", false],
  ["photo-iPhone15.jpg", false],
  ["photo-20240101.jpg", false],
  ["photo-20240101a.jpg", false],
  ["img-img20240101.png", false],
  ["bootstrap-datepicker.js", false],
  ["Inter-SemiBold.woff2", false],
  ["font-OpenSans.woff2", false],
  ["icon-LinkedIn.svg", false],
  ["icon-facade02.svg", false],
  ["banner-BANNER2X.jpg", false],
  ["app-VERSION2.js", false],
  ["x-top-left.svg", false],
  ["react-18.2.0.min.js", false],
  ["page-3f9c2ab1.html", false],
  ["report-3f9c2ab1.pdf", false],
  ["app.js", false],
  ["index-BkH2xVqR.js", true],
  ["index-Bk-2xV_R.js", true],
  ["index-BkH2xVqR.js.map", true],
  ["BkH2xVqR.js", true],
  ["main.3f9c2ab1.css", true],
  ["main.3f9c2ab1.chunk.js", true],
  ["chunk-2QSFK3PZ.js", true],
  ["0a1b2c3d4e5f6a7b.woff2", true],
  ["x.0a1b2c3d4e5f6a7b8c9d.woff2", true],
])("%s has a hash for sure: %p", (name, is) => expect(isHashed(name)).toBe(is));

test.each([
  ["index-B_x-9Zk1.js", true],
  ["index-BQ3x9Zk1.js", true],
  ["page-3f9c2ab1.html", false],
  ["app.js", false],
])("%s may have one: %p", (name, may) => expect(mayBeHashed(name)).toBe(may));
