"use strict";
const WORDS = { fresh: "fresh", stale: "stale", expired: "expired", evicted: "evicted", absent: "not cached" };
const EMPTY = {
  cached: "Nothing is cached yet: open the site, and its URLs appear here.",
  stale: "Nothing is stale: viewers get what the bucket has.",
  uncached: "Every URL is cached.", evicted: "Nothing is evicted.", all: "The site has no URLs yet.",
};
const find = id => document.getElementById(id);
// The URL contains what is shown, so that a reload and a link show it again.
const asked = new URLSearchParams(location.hash.slice(1));
let show = EMPTY[asked.get("show")] ? asked.get("show") : "cached";
let site = asked.get("site"), page = null, since = 0, timer = 0, round = 0;

// Everything from a site is inserted as text, never as markup, and invisible characters are spelled out.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const visible = text => text.replace(UNSEEN, c => "\\u{" + c.charCodeAt(0).toString(16) + "}");
function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content.map(part => typeof part === "string" ? visible(part) : part));
  return element;
}
function link(url, text) {
  const element = make("a", "", text);
  element.href = url;
  element.target = "_blank";
  element.rel = "noopener";
  return element;
}
const number = value => value.toLocaleString("en-US");
const count = (value, one, many) => number(value) + " " + (value === 1 ? one : many);
const clock = at => new Date(at).toLocaleTimeString([], { hour12: false });
function size(bytes) {
  if (bytes === null) return "";
  for (const unit of ["B", "kB", "MB"]) {
    if (bytes < 1000 || unit === "MB") return (unit === "B" ? bytes : bytes.toFixed(1)) + " " + unit;
    bytes /= 1000;
  }
}
function age(seconds) {
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
  return Math.floor(seconds / 86400) + " days";
}
const ago = at => age(Math.max(0, Math.floor((Date.now() - Date.parse(at)) / 1000))) + " ago";
// Only differences are written: otherwise, everything would be announced each time.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Makes `parent` contain these entries. Unchanged entries keep their elements, with focus and open details.
function fill(parent, entries) {
  const old = new Map(Array.from(parent.children, child => [child.entry, child]));
  entries.forEach(({ key, value, build }, at) => {
    const text = JSON.stringify(value);
    let element = old.get(key);
    if (!element || element.signature !== text) {
      const fresh = build();
      Object.assign(fresh, { entry: key, signature: text });
      if (element) {
        const focus = Array.from(element.querySelectorAll("a, button, summary")).indexOf(document.activeElement);
        element.replaceWith(fresh);
        if (focus >= 0) fresh.querySelectorAll("a, button, summary")[focus]?.focus();
      }
      element = fresh;
    }
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] || null);
  });
  while (parent.children.length > entries.length) parent.lastElementChild.remove();
}

function drawSites() {
  const all = page.distributions;
  find("menu").hidden = all.length < 2;
  fill(find("site"), all.map(each => ({ key: each.id, value: each, build: () => {
    const option = make("option", "", each.bucket + (all.some(other => other !== each && other.bucket === each.bucket) ? " (" + each.id + ")" : ""));
    option.value = each.id;
    return option;
  } })));
  find("site").value = page.site;
  const chosen = all.find(each => each.id === page.site);
  fill(find("address"), chosen ? [{ key: chosen.id, value: chosen, build: () => link(chosen.url + "/", all.length < 2 ? chosen.bucket : "Open the site") }] : []);
}
function drawStory() {
  const { story, counts } = page;
  const parts = [];
  if (!story?.at && story?.unfinished) {
    parts.push("The first deploy is under way, or was interrupted: the next one completes it.");
  } else if (!story || (!story.at && !story.since)) {
    parts.push("No deploy yet. Run shipfront deploy DIRECTORY --local, and see here what it does.");
  } else if (!story.at) {
    parts.push(count(story.since, "object was", "objects were") + " written without a deploy of shipfront.");
  } else {
    const done = [];
    if (story.uploaded || !story.removed) done.push(number(story.uploaded) + " uploaded");
    if (story.removed) done.push(number(story.removed) + " removed");
    if (story.left) done.push(number(story.left) + " not done");
    parts.push(clock(story.at) + ": " + done.join(", ") + ".");
    if (!story.seen) parts.push("That was before this edge started: its cache began empty.");
    else if (!story.invalidations) parts.push("Nothing was invalidated.");
    else {
      const outdated = story.evicted === story.outdated ? "" : ", " + number(story.outdated) + " of them outdated";
      parts.push("CloudFront evicted " + count(story.evicted, "cached copy", "cached copies") + outdated
        + "; " + count(story.stayed, "other stayed", "others stayed") + " cached.");
    }
    // A running deploy invalidates at its end what it has changed so far.
    if (story.since && !story.unfinished) parts.push("Since then, " + count(story.since, "object was", "objects were") + " changed without an invalidation.");
  }
  if (story?.at && story.unfinished) {
    parts.push(story.running ? "Another deploy is under way, or was interrupted." : "A later deploy, " + story.unfinished + ", did not finish: the next one completes it.");
  }
  say(find("story"), visible(parts.join(" ")));
  find("stale").hidden = !counts.stale;
  say(find("stale"), counts.stale ? count(counts.stale, "URL is stale: viewers get an old copy.", "URLs are stale: viewers get old copies.") : "");
}
function drawFilters() {
  const { stale, fresh, expired, evicted, absent } = page.counts;
  const totals = { cached: stale + fresh, stale, uncached: expired + evicted + absent, evicted, all: stale + fresh + expired + evicted + absent };
  for (const button of find("filters").children) {
    const name = button.dataset.show;
    say(button.querySelector(".count"), number(totals[name]));
    button.setAttribute("aria-pressed", String(name === show));
  }
  find("table").hidden = !page.urls.length;
  say(find("none"), page.urls.length ? "" : find("find").value ? "No URL has this in its name." : EMPTY[show]);
  say(find("more"), page.more ? "and " + number(page.more) + " more: find them by their names" : "");
}
function row(url, base) {
  const name = make("td", "url", link(base + url.url, url.url));
  if (url.asked_as.length) name.append(make("div", "note", "as " + url.asked_as.join(", ")));
  if (url.evicted_by && url.state === "evicted") name.append(make("div", "note", "by " + url.evicted_by));
  const cell = (label, text) => {
    const element = make("td", "n", text);
    if (label) element.dataset.name = label;
    return element;
  };
  const state = WORDS[url.state] + (url.status && url.status !== 200 ? " " + url.status : "");
  const aged = cell("age", "");
  aged.age = url.age;
  const made = make("tr", "", make("td", url.state, state), name,
    cell("hits", String(url.hits)), cell("misses", String(url.misses)), aged, cell("", size(url.bytes)));
  made.setAttribute("role", "row");
  for (const each of made.children) each.setAttribute("role", "cell");
  return made;
}
function drawAges() {
  const later = Math.floor((Date.now() - since) / 1000);
  for (const element of find("urls").querySelectorAll("td[data-name=age]")) {
    say(element, element.age === null ? "" : age(element.age + later));
  }
}
function drawUrls() {
  const base = page.distributions.find(each => each.id === page.site)?.url || "";
  fill(find("urls"), page.urls.map(url => {
    const { age, ...value } = url;
    return { key: url.url, value, build: () => row(url, base) };
  }));
  page.urls.forEach((url, at) => { find("urls").children[at].children[4].age = url.age; });
  drawAges();
}
function invalidation(shown) {
  const list = shown.items.map(item => {
    const box = make("div", "item", make("p", "", make("code", "", item.item)));
    if (item.effect) box.append(make("p", "note", "by the plan: " + item.effect));
    for (const cause of item.because) {
      box.append(make("p", "note", cause.key + " " + (cause.reason || cause.what)));
    }
    for (const copy of item.evicted) {
      box.append(make("p", copy.outdated ? "note fresh" : "note evicted", "evicted " + copy.url + (copy.outdated ? ", which was outdated" : ", which was still right")));
    }
    if (!item.because.length && !item.evicted.length) box.append(make("p", "note", "nothing was there to evict"));
    if (item.more) box.append(make("p", "note", "and " + number(item.more) + " more"));
    return box;
  });
  const unnamed = shown.sent - shown.items.length;
  if (unnamed) list.push(make("p", "note", "and " + count(unnamed, "path", "paths") + " more"));
  return make("div", "", make("p", "note", clock(shown.at) + " · " + shown.id + " · " + count(shown.sent, "path", "paths") + ", "
    + count(shown.evicted, "copy", "copies") + " evicted, " + number(shown.outdated) + " of them outdated"), ...list);
}
function drawInvalidations() {
  const entries = page.invalidations.map(shown => ({ key: shown.id, value: shown, build: () => invalidation(shown) }));
  const none = { key: "", value: "", build: () => make("p", "note", "None yet: deploy a change, and see.") };
  fill(find("invalidation"), entries.length ? entries.slice(0, 1) : [none]);
  fill(find("invalidations"), entries.slice(1));
  find("earlier").hidden = entries.length < 2;
}
async function copy(command, button) {
  try {
    await navigator.clipboard.writeText(command);
    say(find("said"), "Copied: " + command);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; say(find("said"), ""); }, 3000);
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    say(find("said"), "The command is selected: copy it with the keyboard.");
  }
}
function deploy(each, several) {
  const done = [number(each.uploaded) + " uploaded", number(each.removed) + " removed"];
  if (each.left) done.push(number(each.left) + " not done");
  const time = make("time", "", new Date(each.at).toLocaleString([], { hour12: false }));
  time.dateTime = each.at;
  const element = make("li", "", make("p", "", time, " ", make("code", "", each.id), each.live ? make("span", "live-deploy", " live") : ""),
    make("p", "note", [...(several ? [each.target] : []), done.join(", "), ...each.notes].join(" · ")));
  if (each.rollback) {
    const button = make("button", "", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", "Copy the command that rolls back to " + each.id);
    button.onclick = () => copy(each.rollback, button);
    element.append(make("details", "", make("summary", "", "Roll back to this"), make("p", "", make("code", "", each.rollback), " ", button)));
  }
  return element;
}
function drawHistory() {
  const several = new Set(page.history.map(each => each.target)).size > 1;
  const none = { key: "", value: "", build: () => make("li", "note", "No deploy is recorded here.") };
  const entries = page.history.map(each => ({ key: each.target + " " + each.id, value: [each, several], build: () => deploy(each, several) }));
  fill(find("history"), entries.length ? entries : [none]);
}
function drawLog() {
  fill(find("log"), page.events.slice(0, 120).map(event => ({ key: event.number, value: event.number, build: () => make("li", "",
    make("time", "", clock(event.at)),
    make("bdi", event.kind === "note" ? "name said" : "name", event.kind === "note" ? event.name : event.kind + " " + event.name),
    make("span", "what", event.what)) })));
  if (find("log").scrollHeight > find("log").clientHeight) find("log").tabIndex = 0;
}
function draw() {
  drawSites();
  drawStory();
  drawFilters();
  drawUrls();
  drawInvalidations();
  drawHistory();
  drawLog();
}
// Requests what is shown; `again` discards the current state, because other URLs are requested.
async function poll(again) {
  clearTimeout(timer);
  const mine = ++round, live = find("live");
  const query = new URLSearchParams({ show, find: find("find").value });
  if (page && !again) query.set("after", page.version);
  if (site) query.set("site", site);
  try {
    const answer = await (await fetch("state.json?" + query)).json();
    if (mine !== round) return;
    if (answer.urls) { page = answer; since = Date.now(); draw(); } else if (page) drawAges();
    say(live, "live");
    live.classList.remove("gone");
  } catch (error) {
    if (mine !== round) return;
    say(live, "the preview has ended");
    live.classList.add("gone");
  }
  timer = setTimeout(poll, 1000);
}
function ask() {
  const text = find("find").value;
  const hash = new URLSearchParams({ ...(site && { site }), ...(show !== "cached" && { show }), ...(text && { find: text }) });
  history.replaceState(null, "", String(hash) ? "#" + hash : location.pathname);
  poll(true);
}
find("find").value = asked.get("find") || "";
find("find").oninput = ask;
find("site").onchange = event => { site = event.target.value; ask(); };
for (const button of find("filters").children) button.onclick = () => { show = button.dataset.show; ask(); };
poll();
