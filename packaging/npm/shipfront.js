#!/usr/bin/env node
// Runs the binary of this platform with the same arguments, and ends as it ends.
"use strict";

const { spawn } = require("node:child_process");

const name = `shipfront-${process.platform}-${process.arch}`;
let binary;
try {
  binary = require.resolve(`${name}/bin/shipfront`);
} catch {
  console.error(`error: the package ${name} is not installed`);
  console.error(
    "hint: install without --omit=optional; if there is no such package, this platform has no binary: use cargo install",
  );
  process.exit(1);
}

const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
// A terminal sends its signals to both. Others send them here alone, and a deploy ends well only if it hears of
// them; it takes a second one for impatience, so that Ctrl-C is not passed on.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("error", (error) => {
  console.error(`error: ${binary} does not start: ${error.message}`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else {
    process.exitCode = code;
  }
});
