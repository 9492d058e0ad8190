// Jobs, and one job with its tasks.

import { h, table, when, duration, seconds, facts, words, link, part, state, chip, counts, crumbs, copyable, number, clock } from "./dom.js";

let typing = null;
// A search that waits until the typing pauses
export function search(label, value, change) {
  return h("input", { type: "search", "aria-label": label, placeholder: label, value, maxlength: 64, spellcheck: "false", autocomplete: "off", oninput: (event) => {
    clearTimeout(typing);
    const text = event.target.value.trim();
    typing = setTimeout(() => change(text), 250);
  } });
}
const choice = (label, value, values, change) => h("select", { "aria-label": label, onchange: (event) => change(event.target.value) },
  h("option", { value: "" }, `${label}: all`), values.map((one) => h("option", { value: one, selected: one === value }, one)));

const pager = (page, text, more, go) => h("div", { class: "tools" },
  h("button", { type: "button", disabled: page === 0, onclick: () => go(0) }, "first"),
  h("button", { type: "button", disabled: page === 0, onclick: () => go(page - 1) }, "previous"),
  h("button", { type: "button", disabled: !more, onclick: () => go(page + 1) }, "next"),
  h("span", { class: "soft" }, text));

const outcome = (job) => (job.counts && job.counts.failed ? chip(`${number(job.counts.failed)} failed`, "c-bad") : null);

export function jobs({ ask, refine, query }) {
  const get = (name) => query.get(name) || "";
  const page = Number(get("page")) || 0;
  const asked = new URLSearchParams({ state: get("state"), family: get("family"), prefix: get("prefix"), page });
  return {
    title: "Jobs", every: 5000,
    load: () => ask(`/api/jobs?${asked}`),
    draw: (data) => h("div", {},
      h("div", { class: "head" }, h("h1", { class: "grow" }, "Jobs"),
        search("id begins with", get("prefix"), (text) => refine({ prefix: text, page: "" })),
        choice("state", get("state"), data.states, (value) => refine({ state: value, page: "" })),
        data.families.length ? choice("family", get("family"), data.families, (value) => refine({ family: value, page: "" })) : null),
      h("section", {}, table(["job", "state", "", ["waiting", "n desk"], ["running", "n desk"], ["succeeded", "n desk"], ["failed", "n"], ["pool", "desk"], "submitted", ["took", "n"]], data.jobs.map((job) => ({
        key: job.id, cells: [link(`jobs/${part(job.id)}`, job.id), chip(job.state), counts(job.counts),
          ...["active", "running", "succeeded"].map((name) => (job.counts ? number(job.counts[name]) : "")), job.counts ? (job.counts.failed ? h("strong", { class: "t-failed" }, `▲ ${number(job.counts.failed)}`) : "0") : "",
          link("pools", job.pool_id), when(job.created), job.created ? duration(seconds(job.created, job.ended)) : ""],
      })), { empty: data.all ? "no job fits" : `no jobs. Submit one: ${data.submit}` }),
      data.pages > 1 ? pager(page, `${number(data.total)} jobs, page ${page + 1} of ${data.pages}`, page + 1 < data.pages, (to) => refine({ page: to ? String(to) : "" })) : null)),
  };
}

// Succeeded and failed as areas, running as a line
function progress(history, total) {
  if (history.length < 2) return h("p", { class: "soft" }, "Nothing has happened yet; it is drawn while somebody looks.");
  const [wide, high, left, foot] = [640, 150, 0, 2];
  const from = history[0][0], to = Math.max(history[history.length - 1][0], from + 1);
  const most = Math.max(1, ...history.map((one) => Math.max(one[1] + one[2], one[3])));
  const thin = history.filter((_, i) => history.length <= 400 || i % Math.ceil(history.length / 400) === 0 || i === history.length - 1);
  const x = (at) => left + (at - from) / (to - from) * (wide - left - 4);
  const y = (n) => 6 + (high - foot - 6) * (1 - n / most);
  const step = (value) => thin.flatMap((one, i) => (i ? [`${x(one[0]).toFixed(1)},${y(value(thin[i - 1])).toFixed(1)}`] : []).concat(`${x(one[0]).toFixed(1)},${y(value(one)).toFixed(1)}`)).join(" ");
  const area = (value, kind) => h("path", { class: `fill-${kind}`, d: `M${x(from)},${y(0)} L${step(value)} L${x(to)},${y(0)} Z` });
  const last = history[history.length - 1];
  const label = `over ${duration(to - from)}: ${last[1]} succeeded, ${last[2]} failed, ${last[3]} running now, of ${total}`;
  return h("div", {}, h("svg", { class: "chart", viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    [0, 0.5, 1].map((share) => [h("line", { class: "grid", x1: left, x2: wide - 4, y1: y(most * share), y2: y(most * share) })]),
    area((one) => one[1] + one[2], "bad"), area((one) => one[1], "good"), h("polyline", { class: "line-busy", points: step((one) => one[3]) })),
  h("div", { class: "tools soft" }, h("span", {}, `${clock(from * 1000).slice(11)} to ${clock(to * 1000).slice(11)} (${duration(to - from)}), up to ${number(most)} tasks`), h("ul", { class: "legend" },
    h("li", {}, h("span", { class: "key good" }), "succeeded"), h("li", {}, h("span", { class: "key bad" }), "failed"), h("li", {}, h("span", { class: "key busy" }), "running"))));
}

const FILTERS = [["all", "all"], ["active", "waiting"], ["running", "running"], ["succeeded", "succeeded"], ["failed", "failed"]];

export function job({ ask, act, refine, about, told, parts, query }) {
  const [id] = parts;
  const shown = query.get("shown") || "all", prefix = query.get("prefix") || "", page = Number(query.get("page")) || 0;
  const base = `/api/jobs/${part(id)}`;
  const tasks = new URLSearchParams({ shown, prefix, page });
  return {
    title: id, every: 3000,
    load: async () => {
      const [found, listed] = await Promise.all([ask(base), ask(`${base}/tasks?${tasks}`).catch((error) => ({ error: error.message, tasks: [] }))]);
      return { ...found, listed };
    },
    draw: (data) => {
      const all = data.counts.active + data.counts.running + data.counts.completed;
      const number_of = { all, active: data.counts.active, running: data.counts.running, succeeded: data.counts.succeeded, failed: data.counts.failed };
      const over = ["completed", "terminating", "deleting"].includes(data.state);
      return h("div", {},
        h("div", { class: "head" }, h("div", { class: "grow" }, crumbs(link("jobs", "jobs"), data.family), h("h1", {}, id)), chip(data.state), outcome(data),
          h("a", { class: "button", href: data.report_file, download: "" }, "report"),
          about.operate && data.counts.failed ? h("button", { type: "button", onclick: () => act(`Run the ${number(data.counts.failed)} failed tasks of ${id} again, as new tasks?`, "retry", { job: id }) }, "retry failed") : null,
          about.operate && !over ? h("button", { type: "button", class: "risky", onclick: () => act(`End job ${id} with ${number(data.counts.running)} running and ${number(data.counts.active)} waiting tasks?`, "cancel", { job: id }) }, "cancel") : null),
        told ? h("div", { class: "done" }, told) : null,
        data.waits.length ? h("div", { class: "hold" }, words(data.waits)) : null,
        data.preparation.length ? h("div", { class: "wrong" }, words(data.preparation)) : null,
        data.failures.length ? h("div", { class: "wrong", id: "failures" }, h("p", {}, h("strong", {}, data.counts.failed > data.failures.length ? `${number(data.counts.failed)} tasks failed; the first:` : "failed:")),
          h("ul", { class: "words" }, data.failures.map((one) => h("li", { "data-key": one.id }, link(`jobs/${part(id)}/${part(one.id)}`, one.id), `: ${one.words.replace(/^failed, /, "")}`)))) : null,
        h("div", { class: "columns" },
          h("section", {}, h("h2", {}, "Job"), facts([
            ["pool", link("pools", data.pool_id)], ["submitted", when(data.created)], ["took", data.ended ? duration(seconds(data.created, data.ended)) : ""], ["ended", data.terminate_reason],
            ["tasks", [counts(data.counts), `${number(all)}: ${number(data.counts.active)} waiting, ${number(data.counts.running)} running, ${number(data.counts.succeeded)} succeeded, ${number(data.counts.failed)} failed`]],
            ["output", data.output], ["priority", data.priority || ""],
          ]), h("p", { class: "soft" }, "to keep, as one file:"), copyable(data.report)),
          h("section", {}, h("h2", {}, "Progress"), progress(data.history, all))),
        h("section", {},
          h("div", { class: "head" }, h("h2", {}, "Tasks"), h("nav", { class: "tabs grow", "aria-label": "which tasks" }, FILTERS.map(([name, text]) => h("a", {
            href: `#/jobs/${part(id)}?${new URLSearchParams({ ...(name === "all" ? {} : { shown: name }), ...(prefix ? { prefix } : {}) })}`, "aria-current": name === shown ? "true" : null,
          }, `${text} ${number(number_of[name])}`))), search("id begins with", prefix, (text) => refine({ prefix: text, page: "" }))),
          data.listed.error ? h("div", { class: "wrong" }, data.listed.error) : null,
          table(["task", "state", "node", "started", ["took", "n"], ["exit code", "n"], ["retries", "n"], ["why", "why"]], data.listed.tasks.map((one) => ({
            key: one.id, cells: [link(`jobs/${part(id)}/${part(one.id)}`, one.id), state(one.state), one.node ? link(`pools/${part(data.pool_id)}/${part(one.node)}`, one.node) : "", when(one.started),
              one.started ? duration(seconds(one.started, one.ended)) : "", one.exit_code ?? "", one.retries + one.requeues || "", one.state === "failed" ? one.words.replace(/^failed, /, "") : ""],
          })), { empty: all ? "no task fits" : "the job has no tasks yet" }),
          page || data.listed.more ? pager(page, `page ${page + 1}, in the service's order`, data.listed.more, (to) => refine({ page: to ? String(to) : "" })) : null));
    },
  };
}
