// The session, the pages by their address, and the loop that asks for new data while somebody looks.

import { h, morph, link } from "./dom.js";
import { pools, node } from "./pools.js";
import { jobs, job } from "./jobs.js";
import { task } from "./task.js";
import { images, local } from "./others.js";

const content = document.getElementById("content");
const notice = document.getElementById("notice");
const KEY = "dashboard-key";
let about = null;
let turn = 0; // grows with every change of the page: what an older page still waits for is dropped
let wake = null;
let told = ""; // what became of the last change, until another page is looked at

class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

async function ask(path, options = {}) {
  const headers = { "X-Dashboard-Key": localStorage.getItem(KEY) || "", ...options.headers };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, credentials: "same-origin" });
  } catch {
    throw new Refused(0, `the dashboard does not answer: it has ended. Start it again${about ? `: ${about.again}` : ""}`);
  }
  const found = await answer.json().catch(() => ({ error: `answer ${answer.status}` }));
  if (!answer.ok) throw new Refused(answer.status, found.error || `answer ${answer.status}`);
  return found;
}
const post = (path, body) => ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function openSession() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", "#/pools"); // the token is used once, and is in no history
  localStorage.setItem(KEY, (await post("/session", { token })).key);
}

const ROUTES = [
  [/^pools$/, pools], [/^pools\/([^/]+)\/([^/]+)$/, node],
  [/^jobs$/, jobs], [/^jobs\/([^/]+)$/, job], [/^jobs\/([^/]+)\/([^/]+)$/, task],
  [/^images$/, images], [/^local$/, local],
];

function where() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  for (const [pattern, make] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return { make, path, parts: match.slice(1).map(decodeURIComponent), query: new URLSearchParams(query || "") };
  }
  return null;
}

// Change a filter: it is part of the address, so that going back, reloading and links keep it.
function refine(changes) {
  const { path, query } = where();
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value); else query.delete(name);
  const text = query.toString();
  history.replaceState(null, "", `#/${path}${text ? `?${text}` : ""}`);
  show(false);
}

function complain(error) {
  notice.hidden = !error;
  notice.textContent = error ? error.message : "";
}

// Ask first; then do it; tell what became of it in the words of the verb.
async function act(question, name, body) {
  const sure = await new Promise((resolve) => {
    const dialog = h("dialog", { "aria-label": "Sure?" }, h("p", {}, question), h("div", { class: "tools" },
      h("button", { type: "button", onclick: () => { dialog.close(); resolve(false); } }, "no"),
      h("button", { type: "button", class: "risky", onclick: () => { dialog.close(); resolve(true); } }, "yes")));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(false); });
    document.body.append(dialog);
    dialog.showModal();
  });
  if (!sure) return;
  try {
    const done = await post(`/api/actions/${name}`, body);
    complain(null);
    told = [done.data, done.words].filter(Boolean).join("\n");
  } catch (error) {
    complain(error);
  }
  show(false);
}

async function show(fresh = true) {
  const mine = ++turn;
  if (wake) { clearTimeout(wake); wake = null; }
  const found = where();
  if (!found) { location.hash = "#/pools"; return; }
  nav(found.path.split("/")[0]);
  const page = found.make({ ask, act, refine, about, told, parts: found.parts, query: found.query, stays: () => mine === turn });
  document.title = `${page.title} · Batch`;
  if (fresh) { complain(null); }
  let first = true;
  const round = async () => {
    try {
      const data = await page.load();
      if (mine !== turn) return;
      if (fresh && first) { content.replaceChildren(page.draw(data)); scrollTo(0, 0); }
      else { const next = h("main", {}, page.draw(data)); draw(next); }
      complain(null);
      first = false;
    } catch (error) {
      if (mine !== turn) return;
      if (!(error instanceof Refused)) console.error(error);
      complain(error);
      if (error.status === 401 || error.status === 0) { if (first) content.replaceChildren(); return; }
      if (first && fresh) content.replaceChildren();
    }
    wake = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", round, { once: true }) : round()), page.every || 5000);
  };
  await round();
}

function draw(next) {
  if (content.childNodes.length !== 1 || next.childNodes.length !== 1) content.replaceChildren(...next.childNodes);
  else morph(content.firstChild, next.firstChild);
}

function nav(now) {
  const names = [["pools", "Pools"], ["jobs", "Jobs"], ["images", "Images"], ...(about && about.local ? [["local", "Local"]] : [])];
  document.getElementById("nav").replaceChildren(...names.map(([path, name]) => {
    const made = link(path, name);
    if (path === now) made.setAttribute("aria-current", "page");
    return made;
  }));
}

function theme(change) {
  const root = document.documentElement;
  let now = localStorage.getItem("theme") || "";
  if (change) {
    const dark = now ? now === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    now = dark ? "light" : "dark";
    localStorage.setItem("theme", now);
  }
  if (now) root.dataset.theme = now;
}

function keys() {
  const rows = [["1 2 3 4", "pools, jobs, images, local"], ["/", "search"], ["← → ↑ ↓", "from node to node on the map"], ["t", "light or dark"], ["?", "this"], ["Esc", "close"]];
  const dialog = h("dialog", { "aria-label": "Keys" }, h("h2", {}, "Keys"), h("dl", { class: "facts" }, rows.map(([key, text]) => [h("dt", {}, key.split(" ").map((one) => [h("kbd", {}, one), " "])), h("dd", {}, text)])),
    h("div", { class: "tools" }, h("button", { type: "button", onclick: () => dialog.close() }, "close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select, textarea")) { if (event.key === "Escape") event.target.blur(); return; }
  const to = { 1: "pools", 2: "jobs", 3: "images", 4: "local" }[event.key];
  if (to && (to !== "local" || (about && about.local))) location.hash = `#/${to}`;
  else if (event.key === "/") { const search = document.querySelector("input[type=search]"); if (search) { event.preventDefault(); search.focus(); } }
  else if (event.key === "t") theme(true);
  else if (event.key === "?") keys();
});
document.getElementById("theme").onclick = () => theme(true);
document.getElementById("help").onclick = keys;
// Another page begins at its top; another filter of the same page leaves everything where it is.
let last = "";
addEventListener("hashchange", () => {
  const path = location.hash.split("?")[0];
  if (path !== last) told = "";
  show(path !== last);
  last = path;
});

theme(false);
try {
  await openSession();
  about = await ask("/api/about");
  document.getElementById("account").textContent = about.endpoint;
  document.getElementById("account").title = about.endpoint;
  document.getElementById("mode").append(h("span", { class: `chip ${about.operate ? "c-wait" : ""}` }, about.operate ? "may operate" : "read only"));
  last = location.hash.split("?")[0];
  await show(true);
} catch (error) {
  content.replaceChildren();
  complain(error);
}
