"use strict";
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);

  /* Everything from a model or a text goes through textContent: nothing here parses markup. */
  const element = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key === "class") made.className = value;
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((each) => each !== null));
    return made;
  };
  const drawing = (name, properties = {}, ...children) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const known = (value) => value !== null && value !== undefined;
  const fixed = (value, digits) => (known(value) ? value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−") : "–");
  const signed = (value, digits) => (known(value) ? (Number(value.toFixed(digits)) > 0 ? "+" : "") + fixed(value, digits) : "–");
  const percent = (value, digits = 0) => (known(value) ? `${fixed(100 * value, digits)}%` : "–");
  const whole = (value) => (known(value) ? Math.round(value).toLocaleString("en-US") : "–");
  const visible = (piece) => piece.replaceAll("\n", "↵").replaceAll("\r", "␍").replaceAll("\t", "⇥");

  const alone = (piece) => visible(/^ +$/.test(piece) ? "␣".repeat(piece.length) : piece) || "∅";

  /* ---- cards ---- */
  const map = (network) => {
    const blocks = network.shares.length;
    const height = `${Math.min(360, Math.max(110, 9 * blocks))}px`;
    const image = element("img", { src: network.map, alt: `Weights of network ${network.index} by block and neuron` });
    const plane = element("div", { class: "plane" }, image);
    if (network.members) {
      const ticks = network.members.map(([block, place, sign]) => `M${place + 0.5} ${block + (sign < 0 ? 0.5 : 0.1)}v.4`).join("");
      plane.append(
        drawing("svg", { viewBox: `0 0 ${content.widest} ${blocks}`, preserveAspectRatio: "none", "aria-hidden": "true" },
          drawing("path", { d: ticks, "stroke-opacity": network.members.length > 800 ? 0.5 : 0.85 })));
    }
    const most = Math.max(...network.shares, 1e-9);
    const bars = drawing("svg", { viewBox: `0 0 1 ${blocks}`, preserveAspectRatio: "none", role: "img", "aria-label": "Share of its neurons in each block" },
      ...network.shares.map((share, block) => {
        const bar = drawing("rect", { class: "share", y: block + 0.12, width: share / most, height: 0.76 });
        bar.append(drawing("title"));
        bar.lastChild.textContent = `block ${block}: ${percent(share, 1)}`;
        return bar;
      }));
    const axis = element("div", { class: "axis", "aria-hidden": "true" }, element("span", {}, "0"), element("span", {}, String(blocks - 1)));
    plane.style.height = axis.style.height = bars.style.height = height;
    const marked = network.members ? "ticks: members, those of negative weight in the lower half of a row" : "members are not marked here";
    return element("div", { class: "map" }, axis, plane, bars,
      element("small", {}, `neuron 0 to ${content.widest - 1} of each block; ${marked}`),
      element("small", {}, `share, to ${percent(most)}`));
  };

  const numbers = (network) => {
    const drivers = network.drivers;
    const lines = [
      ["Neurons", `${whole(network.size)} (${percent(network.share, 2)})`],
      ["Of positive and of negative weight", `${whole(network.size_up)} and ${whole(network.size_down)}`],
      ...(network.tails ? [["In the positive and the negative tail", network.tails.map((share) => (share ? percent(share, 2) : "none")).join(" and ")]] : []),
      ["Explained variance", percent(network.statistics.explained_variance_ratio, 2)],
      ...Object.entries(content.reliability).map(([key, name]) => [name, fixed(network.statistics[key], 3)]),
      ["Kurtosis, excess", fixed(drivers.kurtosis, 1)],
      ["Energy at first tokens", known(drivers.first_token_energy) ? percent(drivers.first_token_energy) : "not applicable"],
      ["Energy in the strongest 1%", percent(drivers.strongest_energy)],
      ["Members with massive activations", percent(drivers.massive_share, 1)],
      ["Most frequent of these", `“${alone(drivers.top_token)}” ${percent(drivers.top_token_share)}`],
      ...(known(network.keystones) ? [["Keystones: cost alone, nats per token", network.keystones.map((each) => `${each.block}:${each.index} ${signed(each.nats, 2)} (${each.tokens})`).join(", ") || "none"]] : []),
    ];
    return element("div", { class: "numbers" }, element("h3", {}, "In numbers"), element("dl", {}, ...lines.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))));
  };

  const bar = (value) => drawing("svg", { viewBox: "-1 0 2 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawing("rect", { x: Math.min(0, value), width: Math.abs(value), y: 0.1, height: 0.8, class: value < 0 ? "negative" : "positive" }),
    drawing("line", { x1: 0, x2: 0, y1: 0, y2: 1 }));

  const NAMES = { first_token: "First token", position: "Position, linear", punctuation: "Punctuation", newline: "Newline", digit: "Digit", log_frequency: "Log frequency" };
  const driverTable = (network) => {
    const drivers = network.drivers;
    const rows = content.features.map((name) => [NAMES[name] ?? name, drivers[`driver_${name}`], signed(drivers[`driver_${name}`], 2)]);
    rows.push([drivers.domain ? `Corpus: ${drivers.domain}` : "Corpus", drivers.driver_domain, signed(drivers.driver_domain, 2)]);
    const body = rows.map(([name, value, text]) => element("tr", {}, element("th", { scope: "row" }, name),
      element("td", {}, known(value) ? bar(value) : ""), element("td", { class: "n" }, known(value) ? text : "not applicable")));
    const any = drivers.driver_position_any;
    body.push(element("tr", {}, element("th", { scope: "row" }, "Position, any shape"), element("td", {}),
      element("td", { class: "n" }, known(any) ? `${percent(any)} of the variance` : "not applicable")));
    return element("div", { class: "drivers" }, element("h3", {}, "What it goes with, correlation from −1 to 1"), element("table", { class: "driver" }, element("tbody", {}, ...body)));
  };

  const tint = (span, value, top) => {
    if (!known(value)) { span.classList.add("out"); return; }
    const strength = Math.min(1, Math.abs(value) / top);
    if (strength < 0.04) return;
    span.style.backgroundColor = `rgba(${value < 0 ? "59,130,196" : "217,95,48"},${(0.75 * strength).toFixed(2)})`;
    span.title = `${signed(value, 1)} sd`;
  };
  const spans = (text, start, values, top, from = 0, to = values.length) => values.slice(from, to).map((value, place) => {
    const span = element("span", { class: "token" }, visible(content.texts[text].pieces[start + from + place]));
    tint(span, value, top);
    return span;
  });

  const ARROWS = { up: "↑", down: "↓", "up and down": "↕", "": "" };
  const concordance = (network) => {
    if (!network.tokens.length) return null;
    const top = Math.max(...network.tokens.map((each) => Math.abs(each.strength)), 1e-9);
    const lines = network.tokens.map((each) => {
      const middle = each.position - each.start;
      const strong = element("mark", { class: "token" }, alone(each.token));
      tint(strong, each.values[middle], top);
      return element("li", { title: `${content.texts[each.text].origin}, token ${each.position}` },
        element("span", { class: "strength", title: each.go ? `members go ${each.go}` : "no members" }, `${signed(each.strength, 1)} ${ARROWS[each.go]}`),
        element("span", { class: "before" }, ...spans(each.text, each.start, each.values, top, 0, middle)), strong,
        element("span", { class: "after" }, ...spans(each.text, each.start, each.values, top, middle + 1)));
    });
    return element("div", {}, element("h3", {}, "Strongest tokens in context: standard deviations, and where the members go"), element("ol", { class: "kwic" }, ...lines));
  };

  const texts = (network) => {
    if (!network.texts.length) return null;
    const parts = network.texts.map((each) => {
      const origin = element("p", { class: "origin" }, `${content.texts[each.text].origin}, root mean square ${fixed(each.strength, 2)} sd`);
      if (!each.values.length) {
        const pieces = content.texts[each.text].pieces;
        const start = pieces.slice(0, 24).map(visible).join("") + (pieces.length > 24 ? " …" : "");
        return element("div", {}, origin, element("p", { class: "text start" }, start));
      }
      const top = Math.max(...each.values.map((value) => Math.abs(value ?? 0)), 3);
      return element("div", {}, origin, element("p", { class: "text" }, ...spans(each.text, 0, each.values, top)));
    });
    return element("div", {}, element("h3", {}, "Texts where it is strongest"), ...parts);
  };

  const lesions = (network) => {
    const own = content.lesions.filter((each) => each.network === network.index);
    if (!own.length) return null;
    const cells = (name, ...values) => element("tr", {}, ...values.map((value) => element(name, name === "th" ? { scope: "col" } : {}, value)));
    const rows = own.map((each) => cells("td", `${each.task}, ${each.metric}`, fixed(each.baseline, 3), signed(each.delta, 3),
      known(each.ci_low) && known(each.ci_high) ? `${signed(each.ci_low, 3)} to ${signed(each.ci_high, 3)}` : "–",
      known(each.control_delta) ? `${signed(each.control_delta, 3)} (${each.controls})` : "–", `${whole(each.neurons)}, ${each.threshold}`));
    return element("div", {}, element("h3", {}, "Lesion"), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lesion scores" },
      element("table", { class: "lesions" }, element("thead", {}, cells("th", "Benchmark", "Untouched", "Difference", "95% interval", "Controls' mean (draws)", "Neurons")), element("tbody", {}, ...rows))));
  };

  const generated = (network) => {
    const own = content.lesions.filter((each) => each.network === network.index && each.texts?.length);
    if (!own.length) return null;
    const titles = { untouched: "Untouched", lesion: "Without the network", control: "Control" };
    const tables = own.map((each) => {
      const columns = Object.keys(titles).filter((name) => name in each.texts[0]);
      const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, titles[name])));
      const rows = each.texts.map((row) => element("tr", {}, ...columns.map((name) => element("td", {}, row[name]))));
      return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Generated texts" },
        element("table", { class: "generated" }, element("caption", {}, `${each.task}, ${each.threshold}`), element("thead", {}, head), element("tbody", {}, ...rows)));
    });
    return element("div", {}, element("h3", {}, "Texts that the model generates"), ...tables);
  };

  const fill = (card) => {
    if (card.querySelector(".body")) return;
    const network = content.networks[Number(card.dataset.index)];
    card.append(element("div", { class: "body" }, ...[map(network), numbers(network), driverTable(network), concordance(network), texts(network), lesions(network), generated(network)].filter((each) => each !== null)));
  };
  const stack = byId("stack");
  const cards = [...stack.children];
  for (const card of cards) card.addEventListener("toggle", () => { if (card.open) fill(card); });
  const setAll = (open) => { for (const card of cards) if (!card.hidden) { if (open) fill(card); card.open = open; } };
  byId("open").addEventListener("click", () => setAll(true));
  byId("close").addEventListener("click", () => setAll(false));
  const goTo = () => {
    const card = location.hash.startsWith("#network-") ? byId(location.hash.slice(1)) : null;
    if (!card) return;
    fill(card);
    card.open = true;
    card.scrollIntoView();
  };
  addEventListener("hashchange", goTo);
  /* a second click on the same link changes no hash */
  document.addEventListener("click", (event) => { if (event.target.closest?.('a[href^="#network-"]')) setTimeout(goTo); });
  addEventListener("beforeprint", () => setAll(true));

  /* ---- list ---- */
  const table = byId("networks");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const cardOf = (row) => cards[Number(row.dataset.index)];
  const value = (row, column) => {
    const text = row.cells[column].dataset.value;
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (first, second) => (typeof first === "string" ? first.localeCompare(second) : first - second);
  const sort = (header) => {
    const column = header.cellIndex;
    const before = header.getAttribute("aria-sort");
    const text = rows.some((row) => typeof value(row, column) === "string");
    const first = text || column === 0 ? "ascending" : "descending";
    const direction = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
    for (const each of header.parentNode.cells) if (each.hasAttribute("aria-sort")) each.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    rows.sort((one, other) => {
      const [first, second] = [value(one, column), value(other, column)];
      if (first === null || second === null) return (first === null) - (second === null);
      return sign * compare(first, second) || one.dataset.index - other.dataset.index;
    });
    body.append(...rows);
    stack.append(...rows.map(cardOf));
  };
  for (const button of table.tHead.querySelectorAll("button")) button.addEventListener("click", () => sort(button.parentNode));

  const filter = () => {
    const words = byId("search").value.trim().toLowerCase();
    const label = byId("label").value;
    let shown = 0;
    for (const row of rows) {
      const fits = (!label || row.dataset.label === label) && (/^\d+$/.test(words) ? row.dataset.index === words : row.dataset.search.toLowerCase().includes(words));
      row.hidden = !fits;
      cardOf(row).hidden = !fits;
      shown += fits;
    }
    byId("count").textContent = shown === rows.length ? `${shown} networks` : `${shown} of ${rows.length} networks`;
    byId("nothing").hidden = shown > 0;
  };
  byId("search").addEventListener("input", filter);
  byId("label").addEventListener("change", filter);
  table.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");

  /* ---- matrices ---- */
  for (const name of ["overlap", "connectivity"]) {
    const matrix = content[name];
    if (!matrix) continue;
    const section = byId(name);
    const size = matrix.order.length;
    const readout = section.querySelector(".readout");
    section.querySelector(".picture").addEventListener("pointermove", (event) => {
      const frame = event.currentTarget.getBoundingClientRect();
      const at = (place, extent) => matrix.order[Math.min(size - 1, Math.max(0, Math.floor((size * place) / extent)))];
      const row = at(event.clientY - frame.top, frame.height);
      const column = at(event.clientX - frame.left, frame.width);
      if (row === column) { readout.textContent = `network ${row}`; return; }
      const [low, high] = [Math.min(row, column), Math.max(row, column)];
      const found = matrix.thousandths[(low * (2 * size - low - 1)) / 2 + high - low - 1];
      readout.textContent = `networks ${row} and ${column}: ${known(found) ? fixed(found / 1000, 3) : "not known"}`;
    });
  }

  if (cards.length <= 16) setAll(true);
  goTo();
})();
