/**
 * Makes client_web/embed/vivant-avatar.js: the element and all that it imports as one module.
 * `--check` writes nothing and fails where the file is not what would be written.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OUT = join(ROOT, "client_web/embed/vivant-avatar.js");

const { outputFiles, metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: ["client_web/avatar/index.js"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
});

// tests/test_embed_package.py tells by it, without Node.js, whether a source has changed since
const sources = Object.keys(metafile.inputs).sort();
const digest = createHash("sha256");
for (const source of sources) digest.update(readFileSync(join(ROOT, source)));
const banner = [
  "// vivant-avatar, a portrait that speaks. SPDX-License-Identifier: Apache-2.0",
  "// Made by `npm run embed` from client_web/avatar; change that, not this.",
  `// Sources: ${sources.join(" ")}`,
  `// sha256 of them: ${digest.digest("hex")}`,
];
const text = `${banner.join("\n")}\n\n${outputFiles[0].text}`;

if (!process.argv.includes("--check")) {
  writeFileSync(OUT, text);
} else if (readFileSync(OUT, "utf8") !== text) {
  console.error("client_web/embed/vivant-avatar.js is older than its sources: npm run embed");
  process.exit(1);
}
