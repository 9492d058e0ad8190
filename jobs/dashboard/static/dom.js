// Elements, words and numbers. Text from the service only ever becomes text nodes and attributes, never markup.

const SVG = new Set(["svg", "rect", "path", "line", "text", "g", "title", "polyline"]);

export function h(tag, attributes = {}, ...children) {
  const made = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : String(child));
  }
  return made;
}

const HANDLERS = ["onclick", "oninput", "onchange", "onkeydown", "onsubmit"];

// Make `from` look like `to` and keep the elements that stay: focus, selection, scrolling and open details stay, too.
export function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) { from.replaceWith(to); return; }
  if (from.nodeType === Node.TEXT_NODE) { if (from.data !== to.data) from.data = to.data; return; }
  if (from.dataset && (from.dataset.keep || to.dataset.keep)) {
    if (from.dataset.keep !== to.dataset.keep) from.replaceWith(to);
    return; // what keeps itself up to date is left alone
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const name of HANDLERS) if (from[name] !== to[name]) from[name] = to[name];
  if (from.nodeName === "INPUT" && document.activeElement !== from && from.value !== to.value) from.value = to.value;
  if (from.nodeName === "SELECT" && document.activeElement === from) return;
  children(from, to);
}

function children(from, to) {
  const keyed = new Map();
  for (const one of from.children) if (one.dataset && one.dataset.key) keyed.set(one.dataset.key, one);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = wanted.dataset && wanted.dataset.key;
    const same = key ? keyed.get(key) : at && !(at.dataset && at.dataset.key) ? at : null;
    if (!same) { from.insertBefore(wanted, at); continue; }
    if (same !== at) from.insertBefore(same, at); else at = at.nextSibling;
    const after = same.nextSibling;
    morph(same, wanted);
    if (!same.isConnected) at = after; // it was replaced
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

// `3 d 4 h`, `12 min`, `40 s`: as the verbs write it
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  let rest = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    if (rest >= size || (unit === "s" && !parts.length)) { parts.push(`${Math.floor(rest / size)} ${unit}`); rest %= size; }
  }
  return parts.slice(0, 2).join(" ");
}

export const seconds = (from, to) => (from ? ((to ? new Date(to) : new Date()) - new Date(from)) / 1000 : null);
export const age = (time) => (time ? `${duration(seconds(time))} ago` : "");
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
export const number = (value) => value.toLocaleString("en");
export const bytes = (size) => {
  for (const [unit, of] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (size >= of) return `${(size / of).toFixed(1)} ${unit}`;
  return `${size} B`;
};
export function clock(time) {
  if (!time) return "";
  const at = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
export const when = (time) => (time ? h("time", { datetime: time, title: clock(time) }, age(time)) : "");

export const link = (path, ...text) => h("a", { href: `#/${path}` }, ...text);
export const part = (text) => encodeURIComponent(text);
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}
export const words = (lines) => h("ul", { class: "words" }, lines.map((line) => h("li", {}, line)));

const SIGNS = { succeeded: "✓", failed: "▲", running: "▶", active: "◷", preparing: "◔" };
const NAMES = { active: "waiting" };
export const state = (name) => h("span", { class: `state t-${name}` }, h("b", { "aria-hidden": "true" }, SIGNS[name] || "·"), NAMES[name] || name);
const CHIPS = { active: "c-active", completed: "c-completed", disabled: "c-wait", disabling: "c-wait", terminating: "c-wait", deleting: "c-bad" };
export const chip = (name, kind = CHIPS[name] || "") => h("span", { class: `chip ${kind}` }, name);

export function table(columns, rows, { stack = true, empty = "none" } = {}) {
  // a column is its name, or name and classes: n (numbers), id, why, desk (not on a narrow screen)
  const names = columns.map((one) => (Array.isArray(one) ? one : [one, ""]));
  return h("div", { class: "scroll" }, h("table", { class: stack ? "stack" : "" },
    h("thead", {}, h("tr", {}, names.map(([name, kind]) => h("th", { class: kind.replace(/\b(id|why)\b/, ""), scope: "col" }, name)))),
    h("tbody", {}, rows.length ? rows.map(({ key, cells }) => h("tr", { "data-key": key }, cells.map((cell, i) => h("td", { class: names[i][1], "data-name": names[i][0] }, Array.isArray(cell) ? h("span", {}, cell) : cell))))
      : h("tr", {}, h("td", { colspan: names.length, class: "soft" }, empty)))));
}

// How a job's tasks are, in proportion
export function counts(found) {
  if (!found) return "";
  const total = Math.max(1, found.active + found.running + found.completed);
  let at = 0;
  const parts = [["bad", found.failed], ["good", found.succeeded], ["busy", found.running], ["gone", found.active]].filter(([, n]) => n).map(([kind, n]) => {
    const wide = Math.max(n / total * 300, 4);
    const made = h("rect", { class: `fill-${kind}`, x: Math.min(at, 296), width: wide, height: 10 });
    at += n / total * 300;
    return made;
  });
  const label = `${found.failed} failed, ${found.succeeded} succeeded, ${found.running} running, ${found.active} waiting`;
  return h("svg", { class: "counts", viewBox: "0 0 300 10", preserveAspectRatio: "none", role: "img", "aria-label": label }, h("title", {}, label), h("rect", { class: "fill-gone", width: 300, height: 10 }), parts);
}

export function copyable(text) {
  const button = h("button", { type: "button", onclick: async () => { await navigator.clipboard.writeText(text); button.textContent = "copied"; } }, "copy");
  return h("div", { class: "copy", "data-keep": `copy ${text}` }, h("code", {}, text), button);
}

export function crumbs(...parts) {
  return h("div", { class: "crumbs" }, parts.map((one, i) => [i ? " / " : "", one]));
}
