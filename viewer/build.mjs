// Bundles viewer/src into the package data that the page is made with: `make viewer`.
// `node build.mjs FOLDER` writes elsewhere, for the test that the built files match the source.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "..", "src", "elman", "report");

// tests/report/test_viewer.py makes the same hash: of each source its name, a zero byte, its text, a zero byte.
const sources = ["build.mjs", "package-lock.json", "package.json", ...readdirSync(join(here, "src")).map((name) => `src/${name}`)].sort();
const hash = createHash("sha256");
for (const name of sources) hash.update(`${name}\0`).update(readFileSync(join(here, name))).update("\0");
const stamp = hash.digest("hex");

const license = readFileSync(join(here, "node_modules", "uplot", "LICENSE"), "utf8").trim();
const banner = `/* elman's viewer, made by \`make viewer\` from sources ${stamp} */\n/*! uPlot\n${license}\n*/`;

for (const [entry, name] of [["main.js", "viewer.js"], ["connect.js", "live.js"], ["viewer.css", "viewer.css"]]) {
  const result = await build({
    entryPoints: [join(here, "src", entry)],
    absWorkingDir: here,
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    target: ["es2020", "chrome100", "firefox100", "safari15"],
    charset: "utf8",
    legalComments: "none", // the banner has the whole notice
    logLevel: "warning",
  });
  writeFileSync(join(target, name), `${banner}\n${result.outputFiles[0].text}`);
}
