// The picture of a report: nodes downwards, time to the right, a bar for each task. Drawn on a canvas, so that 60,000
// tasks take a few milliseconds. While more than `MOST_BARS` tasks are in view, a pixel's strength says how busy its
// nodes are there; failures stay visible at every zoom.
"use strict";
(() => {
  const MOST_BARS = 5000;
  const FOOT = 22; // height of the time axis
  const NAMES = 170; // width of the nodes' names, where there is room for them
  const data = JSON.parse(document.getElementById("tasks").textContent);
  const count = data.ids.length;
  const box = document.getElementById("timeline");
  const canvas = box.querySelector("canvas");
  const tip = document.getElementById("tip");
  const say = document.getElementById("view");
  if (!count) { box.hidden = true; return; }

  // Tasks come sorted by node and start. Those of a node that overlap lie in lanes, one above the other.
  const start = Float64Array.from(data.start), end = new Float64Array(count), lane = new Uint16Array(count);
  const lanes = new Uint16Array(data.nodes.length).fill(1);
  const first = new Int32Array(data.nodes.length + 1).fill(count);
  for (let i = 0, free = []; i < count; i++) {
    const node = data.node[i];
    end[i] = start[i] + data.took[i];
    if (i === 0 || node !== data.node[i - 1]) {
      free = [];
      for (let n = i === 0 ? 0 : data.node[i - 1] + 1; n <= node; n++) first[n] = i;
    }
    let at = free.findIndex((until) => until <= start[i]);
    if (at < 0) at = free.length;
    free[at] = end[i];
    lane[i] = at;
    if (at + 1 > lanes[node]) lanes[node] = at + 1;
  }
  let last = 1;
  for (let i = 0; i < count; i++) if (end[i] > last) last = end[i];
  const whole = { from: 0, to: last * 1.005, top: 0, bottom: data.nodes.length };
  let view = { ...whole };
  let hover = -1;
  let drag = null;

  const css = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  let colours;
  const readColours = () => {
    colours = Object.fromEntries(["good", "bad", "busy", "text", "soft", "line", "sunk", "panel", "focus"].map((n) => [n, css(`--${n}`)]));
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const ink = tile.getContext("2d");
    ink.fillStyle = colours.bad;
    ink.fillRect(0, 0, 8, 8);
    ink.strokeStyle = colours.panel;
    ink.lineWidth = 1.6;
    ink.beginPath();
    for (const shift of [-8, 0, 8]) { ink.moveTo(shift, 8); ink.lineTo(shift + 8, 0); }
    ink.stroke();
    colours.hatch = canvas.getContext("2d").createPattern(tile, "repeat");
  };
  const rgb = (colour) => {
    const dot = document.createElement("canvas");
    dot.width = dot.height = 1;
    const ink = dot.getContext("2d");
    ink.fillStyle = colour;
    ink.fillRect(0, 0, 1, 1);
    return ink.getImageData(0, 0, 1, 1).data;
  };

  const words = (s) => {
    if (s < 10) return `${s.toFixed(s < 1 ? 2 : 1)} s`;
    if (s < 60) return `${Math.round(s)} s`;
    const [large, small, names] = s < 3600 ? [60, 1, ["min", "s"]] : s < 86400 ? [3600, 60, ["h", "min"]] : [86400, 3600, ["d", "h"]];
    const rest = Math.floor(s % large / small);
    return `${Math.floor(s / large)} ${names[0]}${rest ? ` ${rest} ${names[1]}` : ""}`;
  };
  const step = (span, most) => {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];
    return steps.find((s) => span / s <= most) || steps[steps.length - 1];
  };
  const size = () => {
    const wide = box.clientWidth;
    const rows = Math.max(110, Math.min(data.nodes.length * 26, Math.max(300, Math.min(innerHeight * 0.62, 1100))));
    const row = rows / (view.bottom - view.top);
    return { wide, high: rows, ratio: devicePixelRatio || 1, left: row >= 11 && wide >= 600 ? NAMES : 0 };
  };

  let shown = []; // index of every bar that was drawn, for the pointer
  const inView = () => {
    const found = [];
    const to = Math.min(data.nodes.length, Math.ceil(view.bottom));
    for (let i = first[Math.max(0, Math.floor(view.top))]; i < count && data.node[i] < to; i++) {
      if (end[i] >= view.from && start[i] <= view.to) found.push(i);
    }
    return found;
  };

  function draw() {
    const { wide, high, ratio, left } = size();
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round((high + FOOT) * ratio);
    canvas.style.height = `${high + FOOT}px`;
    const ink = canvas.getContext("2d");
    ink.scale(ratio, ratio);
    ink.fillStyle = colours.sunk;
    ink.fillRect(0, 0, wide, high + FOOT);
    const x = (t) => left + (t - view.from) / (view.to - view.from) * (wide - left);
    const row = high / (view.bottom - view.top);
    const y = (node) => (node - view.top) * row;
    axis(ink, x, wide, high, left);
    if (row >= 8) {
      ink.fillStyle = colours.line;
      for (let n = Math.ceil(view.top); n < view.bottom; n++) ink.fillRect(0, Math.round(y(n)), wide, 1);
    }
    shown = inView();
    const many = shown.length > MOST_BARS;
    if (many) density(ink, x, y, wide, high, left);
    else bars(ink, x, y, row, high, left, wide);
    if (left) labels(ink, y, row, left, high);
    if (drag && drag.moved) {
      ink.strokeStyle = colours.focus;
      ink.setLineDash([4, 3]);
      ink.strokeRect(Math.min(drag.x, drag.nowX), Math.min(drag.y, drag.nowY), Math.abs(drag.nowX - drag.x), Math.abs(drag.nowY - drag.y));
      ink.setLineDash([]);
    }
    const nodes = Math.min(data.nodes.length, Math.ceil(view.bottom)) - Math.floor(view.top);
    say.textContent = `${shown.length.toLocaleString("en")} of ${count.toLocaleString("en")} tasks, ${nodes} nodes, ${words(view.to - view.from)}${many ? "; strength = how busy" : ""}`;
  }

  function axis(ink, x, wide, high, left) {
    const every = step(view.to - view.from, Math.max(2, (wide - left) / 90));
    ink.font = "11px system-ui, sans-serif";
    ink.textBaseline = "middle";
    for (let t = Math.ceil(view.from / every) * every; t <= view.to; t += every) {
      const at = Math.round(x(t));
      ink.fillStyle = colours.line;
      ink.fillRect(at, 0, 1, high);
      ink.fillStyle = colours.soft;
      const text = t === 0 ? "0" : words(t);
      const long = ink.measureText(text).width;
      ink.fillText(text, Math.max(left + 2, Math.min(wide - long - 2, at - long / 2)), high + FOOT / 2 + 1);
    }
    ink.fillStyle = colours.line;
    ink.fillRect(0, high, wide, 1);
  }

  function bars(ink, x, y, row, high, left0, wide) {
    const gap = row > 10 ? 3 : row > 4 ? 1 : 0;
    ink.save();
    ink.beginPath();
    ink.rect(left0, 0, wide - left0, high);
    ink.clip();
    for (const pass of ["s", "r", "f"]) {
      for (const i of shown) {
        if (data.result[i] !== pass) continue;
        const tall = (row - gap) / lanes[data.node[i]];
        const left = x(start[i]), right = x(end[i]);
        const top = y(data.node[i]) + gap / 2 + lane[i] * tall;
        let width = Math.max(right - left, pass === "f" ? 3 : 1);
        if (width > 4) width -= 0.75; // a thin line between a task and the next
        const height = Math.max(1, tall - (tall > 5 ? 1 : 0));
        ink.fillStyle = pass === "f" ? (height > 5 && width > 5 ? colours.hatch : colours.bad) : pass === "r" ? colours.busy : colours.good;
        if (pass === "r" && height > 4) { ink.globalAlpha = 0.35; ink.fillRect(left, top, width, height); ink.globalAlpha = 1; ink.strokeStyle = colours.busy; ink.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1); } else ink.fillRect(left, top, width, height);
        if (i === hover) { ink.strokeStyle = colours.text; ink.lineWidth = 2; ink.strokeRect(left - 1, top - 1, width + 2, height + 2); ink.lineWidth = 1; }
        if (width > 60 && height > 11) {
          ink.save();
          ink.beginPath();
          ink.rect(left + 3, top, width - 6, height);
          ink.clip();
          if (pass === "f") { ink.fillStyle = colours.panel; ink.globalAlpha = 0.85; ink.fillRect(left + 3, top + height / 2 - 7, Math.min(width - 6, ink.measureText(data.ids[i]).width + 6), 14); ink.globalAlpha = 1; }
          ink.fillStyle = pass === "s" ? colours.panel : colours.text;
          ink.fillText(data.ids[i], left + 6, top + height / 2 + 0.5);
          ink.restore();
        }
      }
    }
    ink.restore();
  }

  function density(ink, x, y, wide, high, edge) {
    const w = Math.round(wide), h = Math.round(high);
    const busy = new Float32Array(w * h), bad = new Float32Array(w * h);
    const room = new Float32Array(h);
    for (let n = Math.floor(view.top); n < view.bottom && n < data.nodes.length; n++) {
      const a = Math.max(0, Math.floor(y(n))), b = Math.min(h - 1, Math.max(a, Math.ceil(y(n + 1)) - 1));
      for (let line = a; line <= b; line++) room[line] += lanes[n];
    }
    const perPixel = (view.to - view.from) / (wide - edge);
    for (const i of shown) {
      const n = data.node[i];
      const a = Math.max(0, Math.floor(y(n))), b = Math.min(h - 1, Math.max(a, Math.ceil(y(n + 1)) - 1));
      const left = Math.max(edge, Math.floor(x(start[i]))), right = Math.min(w - 1, Math.floor(x(end[i])));
      for (let column = left; column <= right; column++) {
        const from = view.from + (column - edge) * perPixel;
        const share = Math.min(1, Math.max(0, Math.min(end[i], from + perPixel) - Math.max(start[i], from)) / perPixel);
        for (let line = a; line <= b; line++) {
          busy[line * w + column] += share;
          if (data.result[i] === "f") bad[line * w + column] += Math.max(share, 1e-6);
        }
      }
    }
    const image = new ImageData(w, h);
    const good = rgb(colours.good), fail = rgb(colours.bad);
    for (let p = 0; p < w * h; p++) {
      if (!busy[p] && !bad[p]) continue;
      // A failure colours its pixel by its share of it, and never so little that it is not seen.
      const share = bad[p] ? Math.max(0.6, Math.min(1, bad[p] / busy[p])) : 0;
      const strength = Math.max(share, Math.min(1, 0.12 + 0.88 * busy[p] / Math.max(1, room[Math.floor(p / w)])));
      for (let c = 0; c < 3; c++) image.data[p * 4 + c] = good[c] + (fail[c] - good[c]) * share;
      image.data[p * 4 + 3] = Math.round(255 * strength);
    }
    const layer = document.createElement("canvas");
    layer.width = w;
    layer.height = h;
    layer.getContext("2d").putImageData(image, 0, 0);
    ink.imageSmoothingEnabled = false;
    ink.drawImage(layer, 0, 0, wide, high);
  }

  function labels(ink, y, row, left, high) {
    ink.fillStyle = colours.line;
    ink.fillRect(left - 1, 0, 1, high);
    for (let n = Math.ceil(view.top - 0.5); n < view.bottom && n < data.nodes.length; n++) {
      const spot = data.nodes[n][1] === "spot" ? " spot" : "", name = data.nodes[n][0];
      let text = name + spot;
      for (let cut = name.length; cut > 4 && ink.measureText(text).width > left - 14; cut--) text = `${name.slice(0, cut / 2)}…${name.slice(-cut / 2)}${spot}`;
      ink.fillStyle = colours.soft;
      ink.fillText(text, 7, y(n) + row / 2 + 0.5);
    }
  }

  function at(event) {
    const { wide, high, left } = size();
    const place = canvas.getBoundingClientRect();
    const px = event.clientX - place.left, py = event.clientY - place.top;
    return {
      px, py, inside: py <= high && px >= left,
      time: view.from + (px - left) / (wide - left) * (view.to - view.from),
      node: view.top + py / high * (view.bottom - view.top),
      near: 2.5 / (wide - left) * (view.to - view.from),
    };
  }
  function find({ time, node, near }) {
    const n = Math.floor(node);
    if (n < 0 || n >= data.nodes.length) return -1;
    const wanted = Math.min(lanes[n] - 1, Math.floor((node - n) * lanes[n]));
    let best = -1;
    for (let i = first[n]; i < count && data.node[i] === n; i++) {
      if (start[i] - near <= time && time <= end[i] + near && (best < 0 || lane[i] === wanted)) {
        best = i;
        if (lane[i] === wanted && start[i] <= time && time <= end[i]) break;
      }
    }
    return best;
  }
  function tell(event) {
    const place = at(event);
    const found = place.inside ? find(place) : -1;
    if (found !== hover) { hover = found; draw(); }
    tip.hidden = found < 0;
    if (found < 0) return;
    const result = { s: "succeeded", f: "failed", r: "running" }[data.result[found]];
    const code = data.codes[found];
    tip.textContent = `${data.ids[found]}\n${result}${code === undefined ? "" : `, exit code ${code}`}\n${words(end[found] - start[found])}, from ${words(start[found])}\n${data.nodes[data.node[found]][0]}`;
    tip.style.left = `${Math.max(0, Math.min(box.clientWidth - tip.offsetWidth - 4, place.px + 14))}px`;
    tip.style.top = `${Math.max(0, place.py + 14 + tip.offsetHeight > canvas.clientHeight ? place.py - tip.offsetHeight - 8 : place.py + 14)}px`;
  }
  function zoom(factor, time, node, both) {
    const keep = (from, to, at, f, low, high, least) => {
      const span = Math.max(least, Math.min(high - low, (to - from) * f));
      const begin = Math.max(low, Math.min(high - span, at - (at - from) / (to - from) * span));
      return [begin, begin + span];
    };
    [view.from, view.to] = keep(view.from, view.to, time, factor, whole.from, whole.to, whole.to / 1e5);
    if (both) [view.top, view.bottom] = keep(view.top, view.bottom, node, factor, 0, whole.bottom, 1);
    draw();
  }
  function move(times, nodes) {
    const dt = (view.to - view.from) * times, dn = (view.bottom - view.top) * nodes;
    const t = Math.max(whole.from - view.from, Math.min(whole.to - view.to, dt));
    const n = Math.max(-view.top, Math.min(whole.bottom - view.bottom, dn));
    view.from += t; view.to += t; view.top += n; view.bottom += n;
    draw();
  }
  const middle = () => [(view.from + view.to) / 2, (view.top + view.bottom) / 2];
  const reset = () => { view = { ...whole }; draw(); };

  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey && document.activeElement !== canvas) return; // the page scrolls
    event.preventDefault();
    const place = at(event);
    zoom((event.deltaY || event.deltaX) > 0 ? 1.25 : 0.8, place.time, place.node, true);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    const place = at(event);
    drag = { x: place.px, y: place.py, nowX: place.px, nowY: place.py, from: place, moved: false };
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && event.pointerType === "mouse") {
      const place = at(event);
      [drag.nowX, drag.nowY] = [place.px, place.py];
      drag.moved = Math.abs(drag.nowX - drag.x) > 6;
      if (drag.moved) { tip.hidden = true; draw(); return; }
    }
    tell(event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const begun = drag;
    drag = null;
    if (!begun || !begun.moved) { tell(event); return; }
    const to = at(event);
    const times = [begun.from.time, to.time].sort((a, b) => a - b), nodes = [begun.from.node, to.node].sort((a, b) => a - b);
    view.from = Math.max(whole.from, times[0]);
    view.to = Math.min(whole.to, Math.max(times[1], view.from + whole.to / 1e5));
    if (Math.abs(begun.y - begun.nowY) > 12) {
      view.top = Math.max(0, Math.floor(nodes[0]));
      view.bottom = Math.min(whole.bottom, Math.max(view.top + 1, Math.ceil(nodes[1])));
    }
    draw();
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; if (hover >= 0) { hover = -1; draw(); } });
  canvas.addEventListener("dblclick", reset);
  canvas.addEventListener("keydown", (event) => {
    const todo = {
      "+": () => zoom(0.7, ...middle(), true), "=": () => zoom(0.7, ...middle(), true), "-": () => zoom(1.4, ...middle(), true),
      "0": reset, Escape: reset,
      ArrowLeft: () => move(-0.2, 0), ArrowRight: () => move(0.2, 0), ArrowUp: () => move(0, -0.2), ArrowDown: () => move(0, 0.2),
    }[event.key];
    if (todo && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); todo(); }
  });
  document.getElementById("in").addEventListener("click", () => zoom(0.6, ...middle(), true));
  document.getElementById("out").addEventListener("click", () => zoom(1.67, ...middle(), true));
  document.getElementById("all").addEventListener("click", reset);
  const again = () => { readColours(); draw(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new ResizeObserver(draw).observe(box);
  again();
})();
