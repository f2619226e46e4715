// Opens pages in a headless Chromium, at several widths and in both color schemes, and prints what they show as JSON.
//
//   node look.mjs ORDER.json
//
// ORDER: { browser, profile, axe: a path or null, pages: [{ url, ready, look, tabs, views: [{ width, scheme }] }] }
// `ready` and `look` are expressions; `tabs` is how often the Tab key is pressed in the last view. The browser is driven
// through a pipe, so that neither a library nor a port is needed.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const order = JSON.parse(readFileSync(process.argv[2], "utf8"));
const axe = order.axe && readFileSync(order.axe, "utf8");
const browser = spawn(order.browser, [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
  `--user-data-dir=${order.profile}`, "--remote-debugging-pipe",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: { ...process.env, HOME: order.profile } });
const patience = setTimeout(() => fail("the browser took too long"), 240_000);
function fail(message) {
  console.error(message);
  browser.kill("SIGKILL");
  process.exit(1);
}
browser.on("error", error => fail(String(error)));

let id = 0, buffer = "", sessionId, problems = [];
const waiting = new Map();
browser.stdio[4].setEncoding("utf8").on("data", piece => {
  buffer += piece;
  for (let end; (end = buffer.indexOf("\0")) >= 0; buffer = buffer.slice(end + 1)) {
    const message = JSON.parse(buffer.slice(0, end));
    if (message.id) {
      waiting.get(message.id)(message);
      waiting.delete(message.id);
    } else if (message.method === "Runtime.exceptionThrown") {
      problems.push(message.params.exceptionDetails.exception?.description || message.params.exceptionDetails.text);
    } else if (message.method === "Log.entryAdded" && message.params.entry.level === "error") {
      problems.push(message.params.entry.text);
    }
  }
});
const send = (method, params = {}) => new Promise((resolve, reject) => {
  waiting.set(++id, answer => (answer.error ? reject(new Error(`${method}: ${answer.error.message}`)) : resolve(answer.result)));
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
});
async function evaluate(expression) {
  const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text);
  return result.value;
}
async function until(expression) {
  for (let tries = 0; !(await evaluate(expression)); tries++) {
    if (tries > 1200) throw new Error(`never: ${expression}; the page says ${await evaluate("document.body.innerText")}`);
    await new Promise(resolve => setTimeout(resolve, 25));
  }
}

// A focused element has a visible outline, and is inside the window.
const FOCUS = `(() => {
  const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
  return { tag: element.tagName.toLowerCase(), name: element.getAttribute("aria-label") || element.textContent.trim().slice(0, 80),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.left >= -3 && box.right <= innerWidth + 3 };
})()`;

const seen = [];
try {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  ({ sessionId } = await send("Target.attachToTarget", { targetId, flatten: true }));
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`);
  for (const page of order.pages) {
    for (const [at, { width, scheme }] of page.views.entries()) {
      problems = [];
      await send("Emulation.setDeviceMetricsOverride", { width, height: 800, deviceScaleFactor: 1, mobile: width < 500 });
      await send("Emulation.setEmulatedMedia", {
        media: scheme === "print" ? "print" : "",
        features: [{ name: "prefers-color-scheme", value: scheme === "dark" ? "dark" : "light" }],
      });
      await send("Page.navigate", { url: "about:blank" });
      await send("Page.navigate", { url: page.url });
      await until(`document.readyState === "complete" && location.href !== "about:blank" && (${page.ready || "true"})`);
      const view = { url: page.url, width, scheme };
      Object.assign(view, await evaluate(`({ inner: innerWidth, scroll: document.documentElement.scrollWidth, title: document.title,
        levels: Array.from(document.querySelectorAll("h1,h2,h3,h4,h5,h6"), heading => Number(heading.tagName[1])),
        background: getComputedStyle(document.body).backgroundColor })`));
      view.look = page.look ? await evaluate(page.look) : null;
      if (axe) {
        await evaluate(axe + ";0");
        view.violations = await evaluate(`axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map(
          ({ id, impact, help, nodes }) => ({ id, impact, help, nodes: nodes.slice(0, 5).map(({ html, any }) => [html.slice(0, 300), any[0]?.message]) })))`);
      }
      view.focus = [];
      for (let tab = 0; at === page.views.length - 1 && tab < (page.tabs || 0); tab++) {
        for (const type of ["keyDown", "keyUp"]) await send("Input.dispatchKeyEvent", { type, key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 });
        view.focus.push(await evaluate(FOCUS));
      }
      view.problems = problems;
      seen.push(view);
    }
  }
} catch (error) {
  fail(error.stack);
}
clearTimeout(patience);
browser.on("exit", () => console.log(JSON.stringify(seen)));
browser.kill();
