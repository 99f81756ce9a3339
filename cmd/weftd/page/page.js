/* The page of the mesh. weftd sends a picture of it each second over a WebSocket, and at once when a
 * link comes or goes (http_live.c). From each picture a model is made anew: nodes and links, whoever
 * told of them. What is on the page is then brought in line with it, element by element, so that
 * focus, selection and scrolling stay where they are.
 *
 * All text comes from the network: it is only ever set as textContent. */
"use strict";

const $ = (id) => document.getElementById(id);
const CIRCLE_MAX = 30, CIRCLE_MAX_PHONE = 12; // more nodes are a list
const PHONE = 520; // a picture narrower than this is that of a phone
const SILENCE_MS = 5000;

/* ---- Figures for people ---- */

function duration(ns) {
  if (ns === null || ns === undefined) return "–";
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
  const [size, unit] = units.find(([u]) => ns >= u) || units[2];
  const n = ns / size;
  return `${n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2)} ${unit}`;
}

function span(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function amount(n, unit) {
  if (n === null || n === undefined) return "–";
  for (const [size, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (n >= size) return `${(n / size).toFixed(n / size >= 100 ? 0 : 1)} ${prefix}${unit}`;
  return `${n >= 10 || Number.isInteger(n) ? Math.round(n) : n.toFixed(1)} ${unit}`.trim();
}

const bytes = (n) => amount(n, "B");
const clock = (ns) => new Date(ns / 1e6).toLocaleTimeString();
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const sum = (object) => Object.values(object || {}).reduce((a, b) => a + b, 0);

function drops(dropped) {
  const list = Object.entries(dropped || {}).filter(([, n]) => n > 0);
  return list.map(([why, n]) => `${amount(n, "")} ${why.replace("_", " ")}`).join(", ");
}

/* The path in a peer URL, for nodes that nothing else is known of. */
function pathOf(url) {
  const rest = url.replace(/^[a-z0-9+.-]+:\/\//, "").split("?")[0];
  const socket = rest.match(/^\/.*?\.sock(?:\/(.*))?$/);
  const path = socket ? socket[1] || "" : rest.slice(rest.startsWith("/") ? rest.lastIndexOf("/") + 1 : rest.indexOf("/") + 1);
  return path || url;
}

/* ---- The model ---- */

class Rates {
  constructor() { this.last = new Map(); this.now = new Map(); }

  /* Growth of a counter a second, by the reporter's clock; null while unknown. */
  of(key, value, timeNs) {
    const before = this.last.get(key);
    let rate = null;
    if (before && before.time === timeNs) rate = before.rate;
    else if (before && timeNs > before.time && value >= before.value) rate = (value - before.value) / ((timeNs - before.time) / 1e9);
    this.now.set(key, { value, time: timeNs, rate });
    return rate;
  }

  /* The next picture: what this one had no use for is forgotten. */
  turn() { this.last = this.now; this.now = new Map(); }
}

const rates = new Rates();

const compare = new Intl.Collator("en", { numeric: true }).compare;
const nodeKey = (id, url) => id || `url ${url}`;

function modelOf(picture) {
  const nodes = new Map(), byUrl = new Map(), links = new Map();

  function node(key, facts) {
    if (!nodes.has(key)) nodes.set(key, { key, url: "", path: "", tells: false, self: false, linked: false, why: "" });
    return Object.assign(nodes.get(key), facts);
  }

  for (const n of picture.nodes) {
    if (!n.tells) continue;
    const s = n.report.status, key = nodeKey(s.node_id, n.url);
    node(key, { url: n.self ? s.url : n.url, path: s.path, agent: s.agent, role: s.role, tells: true, self: n.self,
      report: n.report, leftOut: n.left_out, linked: n.self });
    for (const url of [n.url, s.url, ...s.listen.split(" ")]) if (url) byUrl.set(url, key);
  }
  const reporters = [...nodes.values()];
  for (const a of reporters)
    for (const p of a.report.peers || [])
      if (p.state === "linked" && !byUrl.has(p.url)) byUrl.set(p.url, nodeKey(p.node_id, p.url));
  for (const a of reporters)
    for (const p of a.report.peers || []) meet(a, p);
  for (const n of picture.nodes)
    if (!n.tells && nodes.has(byUrl.get(n.url))) nodes.get(byUrl.get(n.url)).why = n.why;

  /* What node a says of its peer p: a link, or one that should be. Of addresses that were given up,
   * the address book tells. */
  function meet(a, p) {
    const up = p.state === "linked";
    if (!up && !(p.persistent || p.state === "dialing" || p.state === "handshake" || p.state === "waiting")) return;
    const key = p.node_id || byUrl.get(p.url) || nodeKey(null, p.url);
    if (key === a.key) return;
    const b = node(key, {});
    if (!b.tells) {
      b.url = b.url || p.url;
      b.path = b.path || p.path || pathOf(p.url);
      b.agent = b.agent || p.agent;
      if (up) b.role = p.role;
    }
    const ends = [a.key, key].sort(), id = ends.join(" – ");
    if (!links.has(id)) links.set(id, { id, ends, up: false, sides: [] });
    const link = links.get(id), time = a.report.status.now_ns;
    if (up && !link.up) { link.up = true; link.sides = []; }
    if (up === link.up)
      link.sides.push({ from: a.key, peer: p, inRate: rates.of(`${id} ${a.key} in`, p.bytes_in, time),
        outRate: rates.of(`${id} ${a.key} out`, p.bytes_out, time),
        messages: rates.of(`${id} ${a.key} m`, p.messages_in + p.messages_out, time) });
    if (up) b.linked = a.linked = true;
  }

  for (const link of links.values()) {
    link.a = nodes.get(link.ends[0]);
    link.b = nodes.get(link.ends[1]);
    const side = link.sides.find((s) => nodes.get(s.from).self) || link.sides[0];
    link.peer = side.peer;
    link.rate = side.inRate === null ? null : side.inRate + side.outRate;
    link.messages = side.messages;
    link.queued = link.sides.reduce((n, s) => n + s.peer.outbox_bytes, 0);
    link.lost = link.sides.map((s) => drops(s.peer.dropped)).filter(Boolean).join("; ");
  }
  for (const n of nodes.values()) n.name = n.path || nameless(n);
  const order = [...nodes.values()].sort((x, y) => y.self - x.self || compare(x.name, y.name));
  return { nodes, order, links: [...links.values()].sort((x, y) => x.up - y.up || ours(y) - ours(x) || compare(title(x), title(y))),
    routes: routesOf(reporters, byUrl, nodes), self: order.find((n) => n.self), time: picture.time_ns };
}

/* Programs that only dial often have no path: "weft client 6cba". */
function nameless(n) {
  const program = (n.agent || "").split("/")[0] || "node";
  return `${program} ${n.role || ""} ${n.key.startsWith("url ") ? n.url : n.key.slice(0, 4)}`.replace(/ +/g, " ");
}

const ours = (link) => link.a.self || link.b.self;
const title = (link) => [link.a, link.b].sort((x, y) => y.self - x.self || compare(x.name, y.name)).map((n) => n.name).join(" – ");

/* Does an interest cover a route? docs/protocol.md section 1. */
function covers(interest, route) {
  if (interest === route) return true;
  const [type, path] = interest.split("@"), [routeType, routePath] = route.split("@");
  if (path === undefined || routePath === undefined || !interest.includes("*")) return false;
  if (type !== "*" && type !== routeType) return false;
  const pattern = path.split(/[./]/), segments = routePath.split(/[./]/);
  const fits = (p, s) => p === pattern.length ? s === segments.length
    : pattern[p] === "**" ? fits(p + 1, s) || (s < segments.length && fits(p, s + 1))
      : s < segments.length && (pattern[p] === "*" || pattern[p] === segments[s]) && fits(p + 1, s + 1);
  return fits(0, 0);
}

/* Each route that somebody publishes, and each interest that meets none. Who publishes counts its
 * messages, and so does a router that passes them on: of what two tell of one, the larger counts.
 * Who tells of its routes itself is not told of by others: they take a router's leaves for it. */
function routesOf(reporters, byUrl, nodes) {
  const intents = new Map(), interests = new Map();
  const speaks = (n, other) => n && n !== other && n.tells && n.report.routes && !n.leftOut.routes;
  const name = (url) => nodes.has(byUrl.get(url)) ? nodes.get(byUrl.get(url)).name : pathOf(url);
  for (const a of reporters) {
    for (const r of a.report.routes || []) {
      if (r.peer && speaks(nodes.get(byUrl.get(r.peer)), a)) continue;
      const table = r.intent ? intents : interests;
      if (!table.has(r.route)) table.set(r.route, { route: r.route, who: new Map() });
      const who = r.peer ? name(r.peer) : a.name, all = table.get(r.route).who;
      const rate = r.peer && !r.messages ? null
        : rates.of(`${a.key} ${r.peer || ""} ${r.intent} ${r.route}`, r.messages, a.report.status.now_ns);
      const known = all.get(who) || { rate: null, dropped: 0 };
      all.set(who, { rate: rate === null ? known.rate : Math.max(rate, known.rate || 0), dropped: Math.max(known.dropped, sum(r.dropped)) });
    }
  }
  const total = (entry) => {
    const told = [...entry.who.values()].map((w) => w.rate).filter((r) => r !== null);
    return told.length ? told.reduce((x, y) => x + y) : null;
  };
  const lost = (entry) => [...entry.who.values()].reduce((n, w) => n + w.dropped, 0);
  const rows = [], met = new Set();
  for (const intent of intents.values()) {
    const wanted = [...interests.values()].filter((i) => covers(i.route, intent.route));
    const takers = new Map();
    for (const i of wanted) {
      met.add(i.route);
      for (const who of i.who.keys()) takers.set(who, i.route === intent.route ? who : `${who} (${i.route})`);
    }
    rows.push({ route: intent.route, publishers: [...intent.who.keys()], subscribers: [...takers.values()], rate: total(intent), dropped: lost(intent) });
  }
  for (const i of interests.values())
    if (!met.has(i.route)) rows.push({ route: i.route, publishers: [], subscribers: [...i.who.keys()], rate: null, dropped: lost(i) });
  return rows.sort((x, y) => compare(x.route, y.route));
}

/* ---- Bringing elements in line ---- */

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "circle", "rect", "text"].includes(tag);
  const e = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) set(e, k, v);
  e.append(...children);
  return e;
}

function set(e, name, value) {
  if (value === null || value === undefined || value === false) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
}

function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/* The same, with places where a long name may be broken. */
function sayBroken(e, text) {
  if (e.textContent === text) return;
  e.replaceChildren(...text.split(/(?<=[^/:]\/|@)/).flatMap((part, i) => i ? [make("wbr"), part] : [part]));
}

/* The children of `parent` become one per item, in order; kept by key. */
function align(parent, items, key, create, update) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let e = old.get(k);
    if (e) old.delete(k);
    else { e = create(item); e.dataset.key = k; }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}

/* A table in `holder`: columns are [heading, class, cell text, cell class or undefined]. */
function table(holder, caption, columns, items, key, empty, decorate) {
  let body = holder.querySelector("tbody");
  if (items.length === 0) {
    if (body || !holder.firstElementChild) holder.replaceChildren(make("p", { class: "empty" }));
    say(holder.firstElementChild, empty);
    return;
  }
  if (!body) {
    body = make("tbody", { role: "rowgroup" });
    const head = make("tr", { role: "row" }, ...columns.map(([name, kind]) => {
      const th = make("th", { scope: "col", role: "columnheader", class: kind });
      th.textContent = name;
      return th;
    }));
    const label = make("caption", { class: "unseen" });
    label.textContent = caption;
    holder.replaceChildren(make("table", { role: "table" }, label, make("thead", { role: "rowgroup" }, head), body));
  }
  align(body, items, key, () => make("tr", { role: "row" }, ...columns.map(([name]) => make("td", { role: "cell", "data-label": name }))),
    (row, item) => {
      columns.forEach(([, kind, text, mood], i) => {
        set(row.children[i], "class", [kind, mood && mood(item)].filter(Boolean).join(" ") || null);
        sayBroken(row.children[i], text(item));
      });
      if (decorate) decorate(row, item);
    });
}

/* ---- The picture ---- */

let chosen = null; // key of the node whose facts are shown; null: this node
let model = null;

function choose(key) {
  chosen = key;
  draw();
}

/* Places on a circle, the first on top, stretched to fill the box. */
function places(count, width, height) {
  if (count === 1) return [{ x: width / 2, y: height / 2 - 10 }];
  const start = count === 2 ? Math.PI : -Math.PI / 2;
  const raw = Array.from({ length: count }, (_, i) => {
    const angle = start + (2 * Math.PI * i) / count;
    return { x: Math.cos(angle), y: Math.sin(angle) };
  });
  const fit = (values, from, to) => {
    const low = Math.min(...values), high = Math.max(...values);
    return (v) => high - low < 1e-6 ? (from + to) / 2 : from + ((v - low) / (high - low)) * (to - from);
  };
  const side = Math.max(62, width / 2 - 330);
  const fx = fit(raw.map((p) => p.x), side, width - side), fy = fit(raw.map((p) => p.y), 56, height - 62);
  return raw.map((p) => ({ x: fx(p.x), y: fy(p.y), above: count > 1 && p.y < -0.5 }));
}

const standing = (n) => n.self ? "self" : !n.linked ? "gone" : n.tells ? "tells" : "mute";
const STANDING = { self: "this node", gone: "not linked", tells: "linked", mute: "linked, does not tell" };
/* What all paths begin with, "robot.", goes where there is little room; and of what is left too long
 * the end is shown, which tells more than the beginning. */
function shortened(names, room) {
  const heads = names.filter((n) => n.includes(".")).map((n) => n.slice(0, n.indexOf(".") + 1));
  const shared = heads.length > 2 && heads.every((h) => h === heads[0]) ? heads[0] : "";
  return (name) => {
    const rest = room < 20 && name.startsWith(shared) ? name.slice(shared.length) : name;
    return rest.length > room ? `…${rest.slice(1 - room)}` : rest;
  };
}

function makeSpot(n) {
  const g = make("g", { role: "button", tabindex: 0 }, make("circle", { class: "halo", r: 24 }), make("circle", { class: "disc", r: 15 }),
    make("circle", { class: "core", r: 5.5 }), make("text", { class: "name" }), make("text", { class: "kind" }));
  g.addEventListener("click", () => choose(n.key));
  g.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(n.key);
  });
  return g;
}

function updateSpot(g, n, at, label, crowded) {
  const state = standing(n), current = n === shown();
  set(g, "class", `spot ${state}${current ? " chosen" : ""}`);
  set(g, "data-node", n.name);
  set(g, "data-state", state);
  set(g, "aria-pressed", current);
  set(g, "aria-label", `${n.name}, ${STANDING[state]}`);
  g.style.transform = `translate(${at.x}px, ${at.y}px)`;
  set(g.children[3], "y", at.above ? -30 : 38);
  set(g.children[4], "y", at.above ? -45 : 53);
  say(g.children[3], label(n.name));
  say(g.children[4], n.self || crowded ? "" : n.linked ? (n.role === "peer" ? "" : n.role || "") : "not linked");
}

function figures(link) {
  if (!link.up) return link.peer.state === "linked" ? "" : link.peer.state;
  const rate = link.rate === null ? "" : ` · ${bytes(link.rate)}/s`;
  return (link.peer.rtt_ns ? duration(link.peer.rtt_ns) : "…") + rate;
}

function updateWire(g, link, at) {
  const a = at.get(link.ends[0]), b = at.get(link.ends[1]);
  const current = link.a === shown() || link.b === shown();
  set(g, "class", `${link.up ? "up" : "down"}${current ? " chosen" : ""}`);
  set(g, "data-link", [link.a.name, link.b.name].sort().join(" "));
  set(g, "data-state", link.up ? "linked" : "down");
  const wire = g.firstChild;
  for (const [k, v] of [["x1", a.x], ["y1", a.y], ["x2", b.x], ["y2", b.y]]) set(wire, k, v.toFixed(1));
  if (link.up) wire.style.strokeWidth = `${Math.min(7, 1.6 + Math.log10(1 + (link.rate || 0) / 1000)).toFixed(1)}px`;
  else wire.style.strokeWidth = "";
}

/* The figures lie above all wires. */
function updateFigures(g, link, at, silent) {
  const a = at.get(link.ends[0]), b = at.get(link.ends[1]), [plate, label] = g.children;
  set(g, "class", link.up ? "up" : "down");
  set(label, "x", ((a.x + b.x) / 2).toFixed(1));
  set(label, "y", ((a.y + b.y) / 2 + 4).toFixed(1));
  say(label, silent(link) ? "" : figures(link));
  const wide = label.textContent ? label.textContent.length * 6.4 + 10 : 0;
  for (const [k, v] of [["x", (a.x + b.x - wide) / 2], ["y", (a.y + b.y) / 2 - 9], ["width", wide], ["height", 18]]) set(plate, k, v.toFixed(1));
}

function drawCircle(holder) {
  const width = Math.max(260, holder.clientWidth), phone = width < PHONE, crowded = phone && model.order.length > 5;
  const height = Math.round(phone ? width * (crowded ? 1.4 : 1.05) : Math.min(580, Math.max(320, width * 0.82)));
  let svg = holder.querySelector("svg");
  if (!svg) {
    svg = make("svg", { role: "group", "aria-label": "Nodes and links; the same is in the table of links" },
      make("g", { "aria-hidden": "true" }), make("g", { "aria-hidden": "true" }), make("g"));
    holder.replaceChildren(svg);
  }
  set(svg, "viewBox", `0 0 ${width} ${height}`);
  set(svg, "height", height);
  const spots = places(model.order.length, width, height);
  const at = new Map(model.order.map((n, i) => [n.key, spots[i]]));
  const label = shortened(model.order.map((n) => n.name), phone ? 12 : 20);
  const own = model.links.filter((l) => l.a === shown() || l.b === shown());
  const all = model.links.length <= (phone ? 4 : 15), these = own.length <= (phone ? 4 : 12);
  const silent = (link) => !all && !(these && own.includes(link));
  align(svg.children[0], model.links, (l) => l.id, () => make("g", {}, make("line", { class: "wire" })),
    (g, link) => updateWire(g, link, at));
  align(svg.children[1], model.links, (l) => l.id,
    () => make("g", {}, make("rect", { class: "plate", rx: 9 }), make("text", { class: "figures" })),
    (g, link) => updateFigures(g, link, at, silent));
  align(svg.children[2], model.order, (n) => n.key, makeSpot, (g, n) => updateSpot(g, n, at.get(n.key), label, crowded));
}

function drawList(holder) {
  let list = holder.querySelector("ul");
  if (!list) {
    list = make("ul", { class: "many", "aria-label": "Nodes" });
    holder.replaceChildren(list);
  }
  align(list, model.order, (n) => n.key, (n) => {
    const button = make("button", { type: "button" });
    button.addEventListener("click", () => choose(n.key));
    return make("li", {}, button);
  }, (li, n) => {
    set(li, "class", standing(n));
    set(li, "data-node", n.name);
    set(li, "data-state", standing(n));
    set(li.firstChild, "aria-pressed", n === shown());
    say(li.firstChild, n.name);
    set(li.firstChild, "aria-label", `${n.name}, ${STANDING[standing(n)]}`);
  });
}

/* ---- A node's facts ---- */

const shown = () => model.nodes.get(chosen) || model.self;

function factsOf(n) {
  const facts = [["State", STANDING[standing(n)]], ["Address", n.url], ["Program", n.agent], ["Role", n.role]];
  const s = n.report && n.report.status;
  if (s) {
    facts.push(["Network", s.network], ["Up for", span(s.stats.uptime_ms)], ["Links", `${s.stats.peers} of at most ${s.max_peers}`],
      ["Routes", `${s.stats.intents} published, ${s.stats.interests} subscribed`],
      ["Messages", `${amount(s.stats.messages_in, "")} in, ${amount(s.stats.messages_out, "")} out, ${amount(s.stats.relayed, "")} relayed`],
      ["Dropped", drops(s.stats.dropped) || "none"], ["Dials", `${s.stats.dials}, of them ${s.stats.dials_failed} failed`],
      ["Queued", bytes(s.stats.outbox_bytes)], ["Node id", s.node_id]);
  } else if (n.why) facts.push(["Does not tell", n.why]);
  const broken = model.links.filter((l) => !l.up && (l.a === n || l.b === n) && l.peer.last_error);
  if (broken.length && !n.self) facts.push(["Last error", broken[0].peer.last_error]);
  return facts.filter(([, value]) => value);
}

function entryState(e, now) {
  if (e.banned_until_ns > now) return "banned";
  if (e.linked) return "linked";
  if (e.dialing) return "dialing";
  return e.next_dial_ns ? `dialled in ${span(e.next_dial_ns / 1e6)}` : "not dialled";
}

const BOOK = [
  ["Peer", "lead", (e) => e.peer],
  ["State", "", (e) => entryState(e, model.time) + (!e.linked && e.last_error ? `: ${e.last_error}` : ""),
    (e) => e.linked ? "good" : e.banned_until_ns > model.time ? "bad" : ""],
  ["Known by", "", (e) => e.origin],
];

function drawNode() {
  const n = shown(), holder = $("node-body");
  say($("node-title"), n.self ? `${n.name} (this node)` : n.name);
  if (!holder.querySelector("dl")) {
    const head = make("h3");
    head.textContent = "Address book";
    holder.replaceChildren(make("dl"), head, make("div", { class: "book" }), make("p", { class: "more" }));
  }
  const [list, , book, more] = holder.children;
  align(list, factsOf(n).flatMap(([name, value]) => [["dt", name, name], ["dd", name, value]]), (f) => f[0] + f[1],
    (f) => make(f[0]), (e, f) => say(e, f[2]));
  table(book, "Address book", BOOK, (n.report && n.report.addrbook) || [], (e) => e.peer,
    n.report ? "It is empty." : "Not told here.");
  say(more, n.leftOut && n.leftOut.addrbook ? `${n.leftOut.addrbook} more are not shown.` : "");
}

/* ---- The tables ---- */

const LINKS = [
  ["Link", "lead", title],
  ["State", "", (l) => l.up ? "linked" : l.peer.state + (l.peer.last_error ? `: ${l.peer.last_error}` : ""), (l) => l.up ? "good" : "bad"],
  ["Round trip", "number", (l) => l.up ? duration(l.peer.rtt_ns) : ""],
  ["Jitter", "number", (l) => l.up ? duration(l.peer.jitter_ns || null) : ""],
  ["Rate", "number", (l) => l.up && l.rate !== null ? `${bytes(l.rate)}/s` : ""],
  ["Messages", "number", (l) => l.up && l.messages !== null ? `${amount(l.messages, "")}/s` : ""],
  ["Queued", "number", (l) => l.up ? bytes(l.queued) : ""],
  ["Dropped", "", (l) => l.lost, () => "warn"],
  ["For", "number", (l) => l.up ? span(l.peer.uptime_ms) : ""],
];

const ROUTES = [
  ["Route", "lead", (r) => r.route],
  ["Published by", "", (r) => r.publishers.join(", ") || "nobody"],
  ["Subscribed by", "", (r) => r.subscribers.join(", ") || "nobody"],
  ["Rate", "number", (r) => r.rate === null || r.rate === undefined ? "" : `${amount(r.rate, "")}/s`],
  ["Dropped", "number", (r) => r.dropped ? amount(r.dropped, "") : "", () => "warn"],
];

const INCIDENTS = [
  ["What", "lead", (i) => `${i.type.replaceAll("_", " ")}${i.peer ? `, ${i.peer}` : ""}${i.route ? `, ${i.route}` : ""}`],
  ["When", "", (i) => clock(i.time_ns) + (i.count > 1 ? `, ${i.count} times` : "")],
  ["Why", "", (i) => i.text],
];

function tell(link) {
  const name = [link.a.name, link.b.name].sort().join(" ");
  return (row) => { set(row, "data-row", name); set(row, "data-state", link.up ? "linked" : "down"); };
}

function draw() {
  if (!model) return;
  const many = model.order.length > ($("picture").clientWidth < PHONE ? CIRCLE_MAX_PHONE : CIRCLE_MAX);
  $("mesh").classList.toggle("listed", many);
  (many ? drawList : drawCircle)($("picture"));
  drawNode();
  table($("links-body"), "Links", LINKS, model.links, (l) => l.id, "No link yet. Peers are dialled as the address book says.",
    (row, link) => tell(link)(row));
  table($("routes-body"), "Routes", ROUTES, model.routes, (r) => r.route, "Nobody publishes or subscribes yet.",
    (row, r) => set(row, "data-route", r.route));
  const incidents = [...(model.self.report.incidents || [])].reverse().slice(0, 12);
  table($("lately-body"), "Lately", INCIDENTS, incidents, (i) => `${i.type} ${i.peer} ${i.route} ${i.error} ${i.text}`,
    "Nothing went wrong.", (row, i) => set(row, "data-incident", i.type));
  say($("where"), model.self.name);
  document.title = `${model.self.name} – weft`;
  const up = model.links.filter((l) => l.up).length, s = model.self.report.status.stats;
  align($("counts"), [["nodes", model.order.length], ["links", up], ["routes", s.intents + s.interests + s.remote_intents + s.remote_interests]],
    (c) => c[0], () => make("li", {}, make("b"), document.createTextNode("")), (li, [word, n]) => {
      say(li.firstChild, String(n));
      li.lastChild.data = ` ${n === 1 ? word.slice(0, -1) : word}`;
    });
}

/* ---- What is new, for those who do not see it ---- */

let before = null;

function announce() {
  const now = new Map(model.links.map((l) => [l.id, l]));
  const news = [];
  for (const [id, l] of now) if (before && l.up && !(before.get(id) || {}).up) news.push(`${title(l)}: linked`);
  for (const [id, l] of before || []) if (l.up && !(now.get(id) || {}).up) news.push(`${title(l)}: link lost`);
  if (news.length) say($("said"), news.join(". "));
  before = now;
}

/* ---- The connection ---- */

let socket = null, pause = 500, lastHeard = 0, silence = 0;

function mood(name, text) {
  document.body.className = name;
  say($("state-text"), text);
  const lost = name === "lost";
  $("banner").hidden = !lost;
  if (lost) say($("banner"), `No connection to weftd at ${location.host}. Trying again; what is shown is ${lastHeard
    ? `from ${new Date(lastHeard).toLocaleTimeString()}` : "nothing yet"}.`);
}

function watch() {
  clearTimeout(silence);
  silence = setTimeout(() => socket.close(), SILENCE_MS);
}

function connect() {
  const url = new URL("live", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url, "weft-live");
  watch();
  socket.onmessage = (event) => {
    const picture = JSON.parse(event.data);
    watch();
    pause = 500;
    lastHeard = Date.now();
    model = modelOf(picture);
    rates.turn();
    draw();
    announce();
    mood("live", "live");
  };
  socket.onclose = () => {
    clearTimeout(silence);
    mood("lost", "connection lost");
    setTimeout(connect, pause);
    pause = Math.min(pause * 1.5, 5000);
  };
}

new ResizeObserver(() => draw()).observe($("picture"));
connect();
