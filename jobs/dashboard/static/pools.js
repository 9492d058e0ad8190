// The map of nodes, and one node.

import { h, table, when, age, clock, duration, seconds, facts, words, link, part, state, chip, crumbs, copyable, bytes, number } from "./dom.js";

// state of a node -> how it is drawn: class, letter (the same letters as the verb `nodes`), name
const STATES = {
  idle: ["s-idle", "", "idle"], running: ["s-running", "", "running"],
  creating: ["s-begins", "c", "creating"], starting: ["s-begins", "s", "starting"], waitingforstarttask: ["s-begins", "w", "waiting for its start task"],
  starttaskfailed: ["s-bad", "!", "start task failed"], unusable: ["s-bad", "X", "unusable"], unknown: ["s-bad", "?", "unknown"],
  preempted: ["s-preempted", "p", "preempted"], rebooting: ["s-begins", "r", "rebooting"], reimaging: ["s-begins", "i", "reimaging"],
  leavingpool: ["s-gone", "-", "leaving the pool"], offline: ["s-gone", "o", "offline"], upgradingos: ["s-begins", "u", "upgrading its OS"],
  deallocating: ["s-gone", "d", "deallocating"], deallocated: ["s-gone", "d", "deallocated"],
};
const drawn = (name) => STATES[name] || ["s-bad", "?", name];

function cell(pool, [id, name, dedicated, running, slots, scheduling, wrong], first) {
  const [kind, letter, words] = drawn(name);
  const fill = Math.min(8, Math.round((slots / pool.slots) * 8)) || (running ? 1 : 0);
  const label = `${id}: ${words}, ${dedicated ? "dedicated" : "spot"}, ${running} running${scheduling ? "" : ", takes no tasks"}${wrong ? `: ${wrong}` : ""}`;
  return h("a", {
    class: `cell ${kind} f${fill}${dedicated ? "" : " spot"}${scheduling ? "" : " paused"}`, href: `#/pools/${part(pool.id)}/${part(id)}`,
    title: label, "aria-label": label, "data-key": id, tabindex: first ? 0 : -1,
  }, h("i", {}), h("b", {}, letter || (running ? running : "")));
}

// Arrow keys go from cell to cell, as they lie on the screen.
function arrows(event) {
  const cells = [...event.currentTarget.children];
  const now = cells.indexOf(document.activeElement);
  if (now < 0) return;
  const top = cells[0].offsetTop;
  const wide = cells.findIndex((one) => one.offsetTop > top);
  const row = wide < 0 ? cells.length : wide;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, Home: -now, End: cells.length - 1 - now }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const next = cells[Math.max(0, Math.min(cells.length - 1, now + step))];
  cells[now].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function legend(pool) {
  const found = new Map();
  for (const one of pool.nodes) found.set(one[1], (found.get(one[1]) || 0) + 1);
  const order = Object.keys(STATES);
  const shown = [...found].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
  const spot = pool.nodes.filter((one) => !one[2]).length;
  const sample = (kind, letter, extra = "") => h("span", { class: `cell ${kind} ${extra}`, "aria-hidden": "true" }, h("i", {}), h("b", {}, letter));
  return h("ul", { class: "legend" },
    shown.map(([name, count]) => h("li", { "data-key": name }, sample(drawn(name)[0], drawn(name)[1], name === "running" ? "f6" : "f0"), `${number(count)} ${drawn(name)[2]}`)),
    spot ? h("li", {}, sample("s-idle", "", "spot f0"), `round: spot (${number(spot)})`) : null,
    pool.nodes.some((one) => !one[5]) ? h("li", {}, sample("s-idle", "", "paused f0"), "struck out: takes no tasks") : null,
    found.has("running") ? h("li", {}, "filled: slots in use, with the number of running tasks") : null);
}

function panel(pool) {
  const used = pool.nodes.reduce((sum, one) => sum + one[4], 0), slots = pool.nodes.length * pool.slots;
  const size = (now, target, kind) => (now || target ? `${number(now)}${now === target ? "" : ` of ${number(target)}`} ${kind}` : "");
  const sizes = [size(pool.dedicated, pool.target_dedicated, "dedicated"), size(pool.spot, pool.target_spot, "spot")].filter(Boolean).join(", ") || "no nodes";
  return h("section", { "data-key": pool.id },
    h("div", { class: "head" }, h("h2", { class: "grow" }, pool.name && pool.name !== pool.id ? `${pool.name} ` : "", h("span", { class: "mono" }, pool.id)),
      h("span", { class: "soft" }, `${pool.size}, ${sizes}, ${number(used)} of ${number(slots)} slots in use`),
      pool.allocation === "steady" ? chip("steady") : chip(pool.allocation || pool.state, "c-wait"),
      pool.formula ? chip("scales by formula") : null),
    pool.errors.length ? h("div", { class: "wrong" }, words(pool.errors)) : null,
    h("div", { class: `nodes${pool.nodes.length > 200 ? " many" : ""}`, role: "group", "aria-label": `nodes of ${pool.id}; arrow keys go from one to the next`, onkeydown: arrows }, pool.nodes.map((one, i) => cell(pool, one, i === 0))),
    legend(pool),
    pool.wrong.length ? h("div", { class: "wrong" }, h("ul", { class: "words" }, pool.wrong.map((one) => h("li", {}, `${number(one.count)} ${one.count === 1 ? "node" : "nodes"}: ${one.why} (`, one.nodes.slice(0, 3).map((id, i) => [i ? ", " : "", link(`pools/${part(pool.id)}/${part(id)}`, id)]), one.count > 3 ? ", …)" : ")")))) : null,
    pool.formula ? h("details", { "data-key": "formula" }, h("summary", {}, `autoscale formula, ${pool.evaluated ? `last evaluated ${age(pool.evaluated)}` : "not evaluated yet"}`),
      h("pre", { class: "plain", tabindex: 0 }, pool.formula), pool.results ? h("p", { class: "mono" }, pool.results) : null) : null);
}

export function pools({ ask }) {
  return {
    title: "Pools", every: 5000,
    load: () => ask("/api/pools"),
    draw: (data) => h("div", {}, h("div", { class: "head" }, h("h1", {}, "Pools")),
      data.pools.length ? data.pools.map(panel) : h("section", {}, h("p", {}, "The account has no pool. Run up: it makes the stack's pools."))),
  };
}

export function node({ ask, act, about, told, parts, stays }) {
  const [pool, id] = parts;
  const base = `/api/pools/${part(pool)}/${part(id)}`;
  let output = "stderr.txt";
  const safe = (asked) => asked.catch((error) => ({ error: error.message }));
  const load = async () => {
    const found = await ask(base);
    const [text, files] = await Promise.all([found.start_task ? safe(ask(`${base}/output?name=${output}`)) : null, safe(ask(`${base}/files`))]);
    return { ...found, text, files };
  };
  const start = (data) => {
    const one = data.start_task;
    if (!one) return h("section", {}, h("h2", {}, "Start task"), h("p", { class: "soft" }, "The pool has none."));
    const choose = (name) => async () => { output = name; const next = await load(); if (stays()) document.getElementById("start-output").textContent = textOf(next); };
    return h("section", {}, h("h2", {}, "Start task"), facts([
      ["state", one.state], ["exit code", one.exit_code], ["began", one.started ? when(one.started) : ""],
      ["took", one.started && one.ended ? duration(seconds(one.started, one.ended)) : ""], ["command", h("code", {}, one.command)],
    ]), h("div", { class: "tools" }, h("span", { class: "grow soft" }, "its output"), ["stderr.txt", "stdout.txt"].map((name) => h("button", { type: "button", onclick: choose(name) }, name.replace(".txt", "")))),
    h("pre", { class: "output", id: "start-output", tabindex: 0, "aria-label": "output of the start task" }, textOf(data)));
  };
  const textOf = (data) => (data.text && data.text.error) || (data.text && data.text.text) || "(empty)";
  return {
    title: id, every: 5000, load,
    draw: (data) => {
      const [kind, letter, name] = drawn(data.state);
      return h("div", {},
        h("div", { class: "head" }, h("div", { class: "grow" }, crumbs(link("pools", "pools"), pool), h("h1", { class: "mono" }, id)),
          h("span", { class: "legend" }, h("span", { class: `cell ${kind}${data.dedicated ? "" : " spot"}`, "aria-hidden": "true" }, h("b", {}, letter)), name),
          chip(data.dedicated ? "dedicated" : "spot"), data.scheduling ? null : chip("takes no tasks", "c-wait"),
          about.operate ? h("button", { type: "button", onclick: () => act(`Make a user for one day on ${id}, with a password that is shown once?`, "connect", { pool, node: id }) }, "connect") : null),
        told ? h("div", { class: "done mono" }, told) : null,
        data.wrong ? h("div", { class: "wrong" }, data.wrong) : null,
        h("div", { class: "columns" },
          h("section", {}, h("h2", {}, "Node"), facts([
            ["state", [name, " for ", duration(seconds(data.since))]], ["tasks", `${data.running_tasks} running on ${data.slots_used} slots; ${number(data.tasks_run)} run in all, ${number(data.tasks_succeeded)} succeeded`],
            ["size", data.vm_size], ["address", data.ip_address], ["allocated", when(data.allocated)], ["booted", when(data.booted)],
          ]), h("p", { class: "soft" }, "log in from a terminal:"), copyable(data.connect)),
          h("section", {}, h("h2", {}, "Tasks that it runs or ran lately"), table(["task", "job", "state", ["exit code", "n"], ["took", "n"]], data.tasks.map((one) => ({
            key: `${one.job_id}/${one.task_id}`, cells: [link(`jobs/${part(one.job_id)}/${part(one.task_id)}`, one.task_id), link(`jobs/${part(one.job_id)}`, one.job_id),
              state(one.state === "completed" ? (one.exit_code === 0 ? "succeeded" : "failed") : one.state), one.exit_code ?? "", duration(seconds(one.started, one.ended))],
          }))))),
        start(data),
        h("section", {}, h("h2", {}, "Files"), data.files.error ? h("p", { class: "soft" }, data.files.error) : table([["name", "id"], ["size", "n"], "changed"], data.files.files.map((one) => ({
          key: one.name, cells: [h("a", { href: one.open, download: "" }, one.name), bytes(one.size), clock(one.modified)],
        })))));
    },
  };
}
