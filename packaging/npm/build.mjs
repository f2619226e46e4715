// Writes the npm packages: one for each platform with its binary, and `shipfront`, which picks the right one.
//
//   node packaging/npm/build.mjs OUT linux-x64=PATH [linux-arm64=PATH ...]
//
// Leaves OUT/shipfront and OUT/shipfront-linux-x64 and so on, ready for `npm publish`. Of the platforms of
// platforms.json only those whose binary is given are written, but `shipfront` names them all.

import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const platforms = JSON.parse(readFileSync(join(here, "platforms.json"), "utf8"));
const version = readFileSync(join(root, "Cargo.toml"), "utf8").match(/^version = "([^"]+)"$/m)[1];

const [out, ...given] = process.argv.slice(2);
const binaries = given.map((argument) => argument.split("="));
if (!out || binaries.length === 0) {
  console.error("usage: build.mjs OUT PLATFORM=BINARY ...");
  process.exit(2);
}

const common = {
  version,
  license: "MIT OR Apache-2.0",
  engines: { node: ">=18" },
  // Filled in by whoever publishes; npm's provenance wants it.
  ...(process.env.REPOSITORY_URL ? { repository: { type: "git", url: process.env.REPOSITORY_URL } } : {}),
};

function write(name, manifest, files) {
  const directory = join(out, name);
  mkdirSync(join(directory, "bin"), { recursive: true });
  writeFileSync(join(directory, "package.json"), JSON.stringify({ name, ...manifest }, null, 2) + "\n");
  for (const [from, to] of files) {
    copyFileSync(from, join(directory, to));
  }
  for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) {
    copyFileSync(join(root, licence), join(directory, licence));
  }
}

for (const [platform, binary] of binaries) {
  if (!platforms[platform] || !binary) {
    console.error(`unknown platform ${platform}; known are ${Object.keys(platforms).join(", ")}`);
    process.exit(2);
  }
  const description = `The shipfront binary for ${platform}`;
  const name = `shipfront-${platform}`;
  write(name, { description, ...common, ...platforms[platform], files: ["bin", "LICENSE-*"] }, [[binary, "bin/shipfront"]]);
  chmodSync(join(out, name, "bin", "shipfront"), 0o755);
}

write(
  "shipfront",
  {
    description: "Ships a built static site to Amazon S3 and keeps CloudFront exactly fresh",
    keywords: ["s3", "cloudfront", "deploy", "static-site", "cdn"],
    ...common,
    bin: { shipfront: "bin/shipfront.js" },
    files: ["bin", "LICENSE-*"],
    optionalDependencies: Object.fromEntries(Object.keys(platforms).map((name) => [`shipfront-${name}`, version])),
  },
  [
    [join(here, "shipfront.js"), "bin/shipfront.js"],
    [join(here, "README.md"), "README.md"],
  ],
);
chmodSync(join(out, "shipfront", "bin", "shipfront.js"), 0o755);
