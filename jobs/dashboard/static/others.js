// Images, and what only the local Azure has.

import { h, table, when, link, part, chip, bytes, facts } from "./dom.js";

const some = (ids, make) => ids.slice(0, 4).map((id, i) => [i ? ", " : "", make(id)]).concat(ids.length > 4 ? ` and ${ids.length - 4} more` : "");

export function images({ ask }) {
  return {
    title: "Images", every: 30000,
    load: () => ask("/api/images"),
    draw: (data) => h("div", {}, h("div", { class: "head" }, h("h1", { class: "grow" }, "Images"), h("span", { class: "soft mono" }, data.registry)),
      h("section", {}, table(["repository", "tags", ["digest", "id"], ["size", "n"], "pushed", "pools", "jobs"], data.images.map((one) => ({
        key: `${one.repository}@${one.digest}`, cells: [one.repository, [one.tags.join(", ") || "-", one.worker ? [" ", chip("image: worker", "c-active")] : ""], h("span", { title: one.digest }, one.digest.slice(0, 19)),
          bytes(one.size), when(one.created), one.pools.length ? some(one.pools, (id) => link("pools", id)) : "", one.jobs.length ? some(one.jobs, (id) => link(`jobs/${part(id)}`, id)) : ""],
      })), { empty: "the registry is empty. Run up: it builds and pushes the worker image" }),
      h("p", { class: "soft" }, `Pools: whose nodes fetch it when they start. Jobs: of the newest ${data.jobs_asked}, by the image of their first task.`))),
  };
}

export function local({ ask, refine, query }) {
  const log = query.get("log") || "";
  return {
    title: "Local Azure", every: 10000,
    load: async () => ({ ...(await ask("/api/local")), shown: log ? await ask(`/api/local/log?name=${part(log)}`).catch((error) => ({ text: error.message, name: log })) : null }),
    draw: (data) => h("div", {}, h("div", { class: "head" }, h("h1", { class: "grow" }, "Local Azure"), chip(data.running ? "running" : "stopped", data.running ? "c-completed" : "c-bad")),
      h("div", { class: "columns" },
        h("section", {}, h("h2", {}, "Services"), table(["process", ["pid", "n"]], Object.entries(data.processes).map(([name, pid]) => ({ key: name, cells: [name, String(pid)] })), { empty: "none runs. Start it: python -m local start" })),
        h("section", {}, h("h2", {}, "Faults on purpose"), h("pre", { class: "plain", tabindex: 0 }, data.faults || "none"), h("p", { class: "soft" }, "Set one: python -m local fault set --help")),
        h("section", {}, h("h2", {}, "Logs"), table(["log", ["size", "n"]], data.logs.map((one) => ({ key: one.name, cells: [h("a", { href: `#/local?log=${part(one.name)}` }, one.name), bytes(one.size)] }))), facts([["folder", h("code", {}, `${data.home}/log`)]]))),
      data.shown ? h("section", {}, h("div", { class: "head" }, h("h2", { class: "grow" }, `The end of ${data.shown.name}`), h("button", { type: "button", onclick: () => refine({ log: "" }) }, "close")), h("pre", { class: "output", tabindex: 0 }, data.shown.text)) : null),
  };
}
