"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const photos = [...document.querySelectorAll("section.photo")];
  const entries = [...document.querySelectorAll("#list li")];
  const stage = byId("stage"), viewer = byId("viewer"), handle = byId("handle"), boxes = byId("boxes");
  const images = { left: byId("left").firstElementChild, right: byId("right").firstElementChild };
  const selects = { left: byId("left-layer"), right: byId("right-layer") };
  const labels = { left: byId("left-label"), right: byId("right-label") };
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  let current = -1, filter = "all", layers = [], faces = [], facesOn = false;
  let pixels = null; // null: pixelated where the picture is small
  let cut = 50; // position of the line, in percent of the visible part of the picture
  let frame = { width: 1, height: 1 }; // pixels of the larger of the two pictures that are compared
  let zoom = 1, x = 0, y = 0; // zoom 1 fits the picture into the stage; (x, y) is its top left corner on the stage
  let lastZoom = -1e9, lastScroll = -1e9;

  // ---- geometry

  const fit = () => Math.min(stage.clientWidth / frame.width, stage.clientHeight / frame.height);
  const maxZoom = () => Math.max(4, 16 / fit());
  const bounds = (offset, size, room) => (size <= room ? (room - size) / 2 : clamp(offset, room - size, 0));

  function place() {
    if (!stage.clientWidth || !layers.length) return;
    const scale = fit() * zoom, width = frame.width * scale, height = frame.height * scale;
    x = bounds(x, width, stage.clientWidth);
    y = bounds(y, height, stage.clientHeight);
    for (const image of Object.values(images)) {
      image.style.left = `${x}px`;
      image.style.top = `${y}px`;
      image.style.width = `${width}px`;
      image.style.height = `${height}px`;
    }
    placeLine();
    placeBoxes(width, height);
    stage.classList.toggle("zoomed", zoom > 1);
    byId("zoom").textContent = `${Math.round(scale * 100)} %`;
    byId("out").disabled = zoom <= 1;
    byId("fit").disabled = zoom <= 1;
    byId("in").disabled = zoom >= maxZoom();
    byId("full").disabled = fit() >= 1;
  }

  function placeBoxes(width, height) {
    if (boxes.hidden) return;
    const placed = [], room = stage.clientWidth;
    for (const face of faces) {
      face.long ??= face.label.offsetWidth;
      face.short ??= face.label.firstElementChild.offsetWidth + 10;
    }
    for (const face of faces) {
      const { box } = face;
      face.area = { x0: x + box[0] * width, y0: y + box[1] * height, x1: x + box[2] * width, y1: y + box[3] * height };
    }
    for (const { area, element, label, long, short } of faces) {
      const { x0: left, y0: top, x1: right, y1: bottom } = area;
      element.style.left = `${left}px`;
      element.style.top = `${top}px`;
      element.style.width = `${right - left}px`;
      element.style.height = `${bottom - top}px`;
      // The whole label where there is room for it above or below the box, else the number alone.
      const choices = [[long, 0], [long, 1], [long, 2], [long, 3], [short, 0], [short, 1]].map(([size, corner]) => {
        const x0 = corner & 2 ? right - size : left, y0 = corner & 1 ? bottom : top - 18;
        return { size, corner, x0, y0, x1: x0 + size, y1: y0 + 18 };
      });
      const apart = (a, b) => a.x1 < b.x0 || b.x1 < a.x0 || a.y1 < b.y0 || b.y1 < a.y0;
      const free = (a) => a.x0 >= 0 && a.x1 <= room && a.y0 >= 0 && placed.every((b) => apart(a, b)) && faces.every((b) => b.area === area || apart(a, b.area));
      const offStage = right < 0 || left > room;
      const choice = offStage ? choices[0] : choices.find(free) ?? choices[4];
      placed.push(choice);
      label.className = `${choice.corner & 1 ? "under" : "over"} ${choice.corner & 2 ? "end" : ""} ${choice.size === long ? "" : "short"}`;
    }
  }

  function span() { // the part of the stage that the picture covers
    const low = Math.max(0, x), high = Math.min(stage.clientWidth, x + frame.width * fit() * zoom);
    return [low, Math.max(low + 1, high)];
  }

  function placeLine() {
    const [low, high] = span(), at = low + (cut / 100) * (high - low);
    handle.style.left = `${at}px`;
    byId("left").style.clipPath = `inset(0 ${stage.clientWidth - at}px 0 0)`;
    handle.setAttribute("aria-valuenow", Math.round(cut));
    handle.setAttribute("aria-valuetext", `${Math.round(cut)} % ${labels.left.textContent}, the rest ${labels.right.textContent}`);
    labels.left.hidden = !handle.hidden && cut < 3;
    labels.right.hidden = handle.hidden || cut > 97;
  }

  function setCut(value) {
    cut = clamp(value, 0, 100);
    placeLine();
  }

  function cutAt(clientX) {
    const [low, high] = span();
    setCut((100 * (clientX - stage.getBoundingClientRect().left - low)) / (high - low));
  }

  function zoomTo(wanted, px = stage.clientWidth / 2, py = stage.clientHeight / 2) { // (px, py) keeps its place
    const next = clamp(wanted, 1, maxZoom()), factor = next / zoom;
    x = px - (px - x) * factor;
    y = py - (py - y) * factor;
    zoom = next;
    place();
  }

  const point = (event) => {
    const area = stage.getBoundingClientRect();
    return [event.clientX - area.left, event.clientY - area.top];
  };

  function showBox(box) { // fill half of the stage with a face
    zoom = clamp(Math.min(stage.clientWidth / ((box[2] - box[0]) * frame.width), stage.clientHeight / ((box[3] - box[1]) * frame.height)) / 2 / fit(), 1, maxZoom());
    const scale = fit() * zoom;
    x = stage.clientWidth / 2 - ((box[0] + box[2]) / 2) * frame.width * scale;
    y = stage.clientHeight / 2 - ((box[1] + box[3]) / 2) * frame.height * scale;
    place();
    viewer.scrollIntoView({ block: "nearest" });
  }

  // ---- one picture

  function load(section, on) {
    for (const image of section.querySelectorAll("img[data-src]")) {
      if (on) image.src = image.dataset.src;
      else image.removeAttribute("src");
    }
  }

  function setLayer(side, index) {
    const layer = layers[index];
    selects[side].value = String(index);
    labels[side].textContent = layer.label;
    if (images[side].getAttribute("src") !== layer.src) images[side].src = layer.src;
    images[side].alt = `${photos[current].querySelector("h2").textContent}: ${layer.label}`;
    placeLine();
  }

  function makeBoxes(section) {
    boxes.replaceChildren();
    faces = [...section.querySelectorAll(".face[data-box]")].map((article) => {
      const data = article.dataset, element = document.createElement("div"), label = document.createElement("span");
      const number = document.createElement("b"), more = document.createElement("span");
      element.className = `box ${data.outcome}`;
      number.textContent = data.number;
      more.textContent = ["", data.score, data.turn && `turn ${data.turn}`, data.outcome === "restored" ? "" : data.decision].filter((text, i) => !i || text).join(" \u00b7 ");
      label.append(number, more);
      element.append(label);
      boxes.append(element);
      return { box: data.box.split(" ").map(Number), outcome: data.outcome, element, label };
    });
    byId("faces").disabled = !faces.length;
    boxes.hidden = byId("legend").hidden = !facesOn || !faces.length;
    for (const entry of byId("legend").children) entry.hidden = !faces.some((face) => face.outcome === entry.className);
  }

  function showPixels() {
    const on = pixels ?? "small" in photos[current].dataset;
    document.body.classList.toggle("pixelated", on);
    byId("pixels").setAttribute("aria-pressed", on);
  }

  function show(index) {
    if (index === current || !photos[index]) return;
    if (current >= 0) {
      photos[current].hidden = true;
      load(photos[current], false);
      entries[current].firstElementChild.removeAttribute("aria-current");
    }
    current = index;
    const section = photos[index];
    section.hidden = false;
    section.querySelector(".slot").append(viewer);
    layers = JSON.parse(section.querySelector(".layers").textContent);
    viewer.hidden = !layers.length;
    for (const select of Object.values(selects)) {
      select.replaceChildren(...layers.map((layer, i) => new Option(layer.label, i)));
      select.disabled = layers.length < 2;
    }
    if (layers.length) {
      const compared = layers.slice(0, 2);
      frame = compared.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a));
      handle.hidden = layers.length < 2;
      setLayer("left", 0);
      setLayer("right", compared.length - 1);
    }
    zoom = 1;
    makeBoxes(section);
    showPixels();
    load(section, true);
    place();
    window.scrollTo(0, 0);
    const link = entries[index].firstElementChild;
    link.setAttribute("aria-current", "true");
    link.scrollIntoView({ block: "nearest" });
    history.replaceState(null, "", `#${index + 1}`); // no element has this id, so the browser does not scroll to it
    showPosition();
  }

  // ---- the list

  const visible = () => entries.map((entry, i) => (entry.hidden ? -1 : i)).filter((i) => i >= 0);

  function showPosition() {
    const list = visible(), at = list.indexOf(current);
    byId("position").textContent = list.length ? `${at + 1} of ${list.length}` : "";
    byId("previous").disabled = at <= 0;
    byId("next").disabled = at < 0 || at >= list.length - 1;
  }

  function step(by) {
    const list = visible(), next = list[list.indexOf(current) + by];
    if (next !== undefined) show(next);
  }

  function applyFilter() {
    const text = byId("find").value.trim().toLowerCase();
    for (const entry of entries) {
      const named = entry.querySelector(".name").textContent.toLowerCase().includes(text);
      entry.hidden = !(named && (filter === "all" || entry.dataset.status === filter));
    }
    for (const button of document.querySelectorAll("#filters button")) {
      button.setAttribute("aria-pressed", button.dataset.filter === filter);
    }
    const list = visible();
    byId("none").hidden = list.length > 0;
    if (list.length && !list.includes(current)) show(list[0]);
    showPosition();
  }

  function openMenu(on) {
    byId("sidebar").classList.toggle("open", on);
    byId("menu").setAttribute("aria-expanded", on);
  }

  for (const button of document.querySelectorAll("#filters button")) {
    button.addEventListener("click", () => {
      filter = button.dataset.filter;
      applyFilter();
    });
  }
  byId("find").addEventListener("input", applyFilter);
  entries.forEach((entry, i) => entry.firstElementChild.addEventListener("click", (event) => {
    event.preventDefault();
    show(i);
    openMenu(false);
  }));
  byId("menu").addEventListener("click", () => openMenu(!byId("sidebar").classList.contains("open")));
  byId("main").addEventListener("pointerdown", (event) => {
    if (event.target !== byId("menu")) openMenu(false);
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));

  // ---- mouse, pen and fingers: one moves the line, or the picture where it is zoomed; two zoom

  const pointers = new Map();
  let action = "", pinch = null;

  function twoPointers() {
    const [a, b] = [...pointers.values()];
    return { distance: Math.hypot(a[0] - b[0], a[1] - b[1]), centre: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, point(event));
    if (pointers.size === 2) {
      action = "pinch";
      pinch = twoPointers();
    } else if (pointers.size === 1) {
      const onHandle = event.target === handle;
      if (onHandle) handle.focus({ preventScroll: true });
      action = onHandle || zoom === 1 ? "line" : "pan";
      if (action === "line" && !handle.hidden) cutAt(event.clientX);
    }
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = point(event);
    pointers.set(event.pointerId, now);
    if (action === "pinch" && pointers.size === 2) {
      const next = twoPointers();
      x += next.centre[0] - pinch.centre[0];
      y += next.centre[1] - pinch.centre[1];
      zoomTo((zoom * next.distance) / Math.max(1, pinch.distance), ...next.centre);
      pinch = next;
    } else if (action === "line" && !handle.hidden) {
      cutAt(event.clientX);
    } else if (action === "pan") {
      x += now[0] - before[0];
      y += now[1] - before[1];
      place();
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      action = "";
    });
  }
  stage.addEventListener("dblclick", (event) => zoomTo(zoom > 1 ? 1 : Math.max(2, 1 / fit()), ...point(event)));
  stage.addEventListener("wheel", (event) => {
    const inward = event.deltaY < 0, now = event.timeStamp;
    // At its whole size the picture lets the page scroll: down to the faces, and back up to the picture.
    const scrolls = !event.ctrlKey && zoom === 1 && (inward ? window.scrollY > 0 || now - lastScroll < 250 : now - lastZoom > 300);
    if (scrolls) return;
    event.preventDefault();
    lastZoom = now;
    zoomTo(zoom * Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.04 : 0.0015)), ...point(event));
  }, { passive: false });
  window.addEventListener("scroll", (event) => { lastScroll = event.timeStamp; }, { passive: true });

  // ---- buttons and keys

  const actions = {
    in: () => zoomTo(zoom * 1.5),
    out: () => zoomTo(zoom / 1.5),
    fit: () => zoomTo(1),
    full: () => zoomTo(1 / fit()),
    faces: () => {
      if (byId("faces").disabled) return;
      facesOn = !facesOn;
      byId("faces").setAttribute("aria-pressed", facesOn);
      boxes.hidden = byId("legend").hidden = !facesOn;
      place();
    },
    pixels: () => {
      pixels = byId("pixels").getAttribute("aria-pressed") !== "true";
      showPixels();
    },
    screen: () => (document.fullscreenElement ? document.exitFullscreen() : viewer.requestFullscreen()),
  };
  for (const [id, act] of Object.entries(actions)) byId(id).addEventListener("click", act);
  for (const [side, select] of Object.entries(selects)) select.addEventListener("change", () => setLayer(side, Number(select.value)));
  document.addEventListener("click", (event) => {
    const article = event.target.closest(".face");
    if (article && event.target.closest(".locate")) showBox(article.dataset.box.split(" ").map(Number));
  });

  const keys = {
    n: () => step(1), j: () => step(1), p: () => step(-1), k: () => step(-1), f: actions.faces,
    "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.fit, 1: actions.full, Escape: () => openMenu(false),
  };
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const onHandle = event.target === handle, move = moves[event.key];
    if (move && event.shiftKey && zoom > 1) {
      x -= move[0] * 60;
      y -= move[1] * 60;
      place();
    } else if (move && (onHandle || move[0]) && !handle.hidden) {
      setCut(cut + (move[0] - move[1]) * (event.shiftKey ? 10 : 1));
    } else if (onHandle && (event.key === "PageUp" || event.key === "PageDown")) {
      setCut(cut + (event.key === "PageUp" ? 10 : -10));
    } else if (onHandle && (event.key === "Home" || event.key === "End")) {
      setCut(event.key === "Home" ? 0 : 100);
    } else if (keys[event.key] && !event.shiftKey | (event.key === "+")) {
      keys[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });

  // ---- sortable tables

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.key;
      const rows = [...table.tBodies[0].rows];
      const numeric = rows.every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
      rows.sort((a, b) => (key(a) === "") - (key(b) === "") || (up ? 1 : -1) * (numeric ? key(a) - key(b) : key(a).localeCompare(key(b), "en", { numeric: true })));
      table.tBodies[0].append(...rows);
    }));
  }

  new ResizeObserver(place).observe(stage);
  window.addEventListener("hashchange", () => show(Number(location.hash.slice(1)) - 1));
  history.scrollRestoration = "manual";
  viewer.hidden = true;
  show(Number(location.hash.slice(1)) - 1);
  if (current < 0) show(Math.max(0, photos.findIndex((section) => section.dataset.status !== "failed")));
  showPosition();
})();
