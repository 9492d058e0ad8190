// One task: why it failed or waits, and what it writes, while it writes it.

import { h, table, when, duration, seconds, facts, words, link, part, state, crumbs, copyable, bytes, plural } from "./dom.js";

const MOST = 2_000_000; // characters of output that stay on the page

let followed = 0;

// The output goes on by itself, piece by piece, into an element that the page keeps.
function follow(ask, base, stays) {
  followed += 1;
  const box = h("pre", { class: "output", tabindex: 0, "aria-label": "output", "data-keep": `output ${followed}` });
  const source = h("span", { class: "soft grow", "data-keep": `source ${followed}` }, "…");
  let name = "", at = null, run = "", going = 0;
  const step = async (mine) => {
    while (mine === going && stays()) {
      let pause = 1000;
      try {
        const found = await ask(`${base}/output?name=${name}${at === null ? "" : `&from=${at}`}`);
        if (mine !== going || !stays()) return;
        if (run && String(found.run) !== run) { at = null; run = ""; box.textContent = ""; source.textContent = "it began again"; continue; }
        run = String(found.run);
        const bottom = box.scrollHeight - box.scrollTop - box.clientHeight < 30;
        if (at === null && found.from > 0) box.append(`… (${bytes(found.from)} before this; the whole file is below)\n`);
        if (found.text) box.append(found.text);
        if (box.textContent.length > MOST) box.textContent = box.textContent.slice(-MOST / 2);
        if (bottom) box.scrollTop = box.scrollHeight;
        at = found.to;
        source.textContent = found.over ? (box.textContent ? `from ${found.source}` : `${name} is empty, or: ${found.source}`) : `${found.source}, live`;
        if (found.over) return;
        if (found.text) pause = 250;
      } catch (error) {
        source.textContent = error.message;
        pause = 4000;
      }
      await new Promise((resolve) => setTimeout(resolve, document.hidden ? 5000 : pause));
    }
  };
  const choose = (wanted) => { if (wanted === name) return; name = wanted; at = null; run = ""; box.textContent = ""; step(++going); };
  return { box, source, choose, now: () => name };
}

export function task({ ask, act, about, told, parts, query, stays }) {
  const [job, id] = parts;
  const base = `/api/jobs/${part(job)}/tasks/${part(id)}`;
  const output = follow(ask, base, stays);
  const safe = (asked) => asked.catch((error) => ({ files: [], missing: error.message }));
  return {
    title: id, every: 3000,
    load: async () => {
      const found = await ask(base);
      return { ...found, files: await safe(ask(`${base}/files`)) };
    },
    draw: (data) => {
      const log = query.get("log") || (data.state === "failed" ? "stderr.txt" : "stdout.txt");
      output.choose(log);
      const again = about.operate && data.state === "failed";
      const cancel = about.operate && !["failed", "succeeded"].includes(data.state);
      const tab = (name) => h("a", { href: `#/jobs/${part(job)}/${part(id)}?log=${name}`, "aria-current": name === log ? "true" : null }, name.replace(".txt", ""));
      return h("div", {},
        h("div", { class: "head" }, h("div", { class: "grow" }, crumbs(link("jobs", "jobs"), link(`jobs/${part(job)}`, job)), h("h1", {}, id)), state(data.state),
          again ? h("button", { type: "button", onclick: () => act(`Run task ${id} again, as a new task?`, "retry", { job, task: id }) }, "retry") : null,
          cancel ? h("button", { type: "button", class: "risky", onclick: () => act(`End task ${id}?`, "cancel", { job, task: id }) }, "cancel") : null),
        told ? h("div", { class: "done" }, told) : null,
        data.why.length || data.needs.length ? h("div", { class: "wrong", id: "why" }, words([...data.why, ...data.needs])) : null,
        data.waits.length ? h("div", { class: "hold" }, words(data.waits)) : null,
        data.nothing.length ? h("div", { class: "hold" }, words(data.nothing.map((one) => `nothing was uploaded by the pattern '${one}': no file of the task is of it`))) : null,
        h("section", {}, h("div", { class: "head" }, h("h2", {}, "Output"), h("nav", { class: "tabs", "aria-label": "which output" }, tab("stdout.txt"), tab("stderr.txt")), output.source), output.box),
        h("div", { class: "columns" },
          h("section", {}, h("h2", {}, "Task"), facts([
            ["state", data.words], ["node", data.node ? link(`pools/${part(data.pool)}/${part(data.node)}`, data.node) : "none yet"], ["created", when(data.created)], ["started", when(data.started)],
            ["took", data.started ? duration(seconds(data.started, data.ended)) : ""], ["runs", `${plural(data.retries, "retry", "retries")}, ${plural(data.requeues, "time")} back to the queue`],
            ["image", h("code", {}, data.image || "(none: on the node itself)")], ["command", h("code", {}, data.command)], ["options", data.options ? h("code", {}, data.options) : ""],
          ]), h("p", { class: "soft" }, "in a terminal:"), copyable(data.show)),
          h("section", {}, h("h2", {}, "Files"), data.files.missing ? h("p", { class: "soft" }, data.files.missing) : null,
            table([["name", "id"], ["size", "n"], "where"], data.files.files.map((one) => ({ key: `${one.where} ${one.name}`, cells: [h("a", { href: one.open, download: "" }, one.name), bytes(one.size), one.where === "node" ? "its node" : "the job's container"] }))))),
        h("section", {}, h("details", {}, h("summary", {}, "the task, as Batch has it"), h("pre", { class: "plain", tabindex: 0 }, JSON.stringify(data.definition, null, 2)))));
    },
  };
}
