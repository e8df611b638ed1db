/* How the laboratory's figures look: colours that follow the theme, each engine's mark, numbers as people read them.
   Loaded before lab-marks.js, lab-kinds.js and lab-charts.js, which find all this in window.House. */
(() => {
  "use strict";
  const SHAPE = {
    popularity: "circle", itemknn: "cross", ease: "crossRot", transitions: "rect", nextitnet: "circle",
    sasrec: "triangle", bivae: "triangle", llm: "star", blend: "rectRot",
  };
  const STROKED = new Set(["cross", "crossRot", "star"]);
  const reading = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const ink = {};

  /* Any CSS colour, variables and color-mix included, as rgb(): the canvas does not know variables. */
  function colour(expression, alpha = 1) {
    const probe = document.createElement("i");
    probe.style.color = expression;
    document.body.append(probe);
    reading.fillStyle = getComputedStyle(probe).color;
    probe.remove();
    reading.clearRect(0, 0, 1, 1);
    reading.fillRect(0, 0, 1, 1);
    const [red, green, blue] = reading.getImageData(0, 0, 1, 1).data;
    return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
  }

  const hue = (engine, alpha) => colour(`var(--e-${engine}, var(--ink-2))`, alpha);
  const font = () => getComputedStyle(document.body).fontFamily;

  /* Reads the theme anew: at first, and when the lights change. */
  function theme() {
    Object.assign(ink, {
      text: colour("var(--color-base-content)"), soft: colour("var(--ink-2)"), line: colour("var(--line)"),
      axis: colour("var(--ink-3)"), ground: colour("var(--color-base-100)"), amber: colour("var(--color-primary)"),
      bar: colour("color-mix(in oklab, var(--color-base-content) 58%, var(--color-base-100))"),
    });
    const all = Chart.defaults;
    Object.assign(all.font, { family: font(), size: 13, lineHeight: 1.3 });
    Object.assign(all, { color: ink.soft, borderColor: ink.line, responsive: true, maintainAspectRatio: false });
    all.animation = false; /* a figure stands still */
    all.devicePixelRatio = Math.max(2, window.devicePixelRatio || 1);
    all.plugins.legend.display = false;
    Object.assign(all.plugins.tooltip, {
      backgroundColor: ink.text, titleColor: ink.ground, bodyColor: ink.ground, displayColors: false,
      cornerRadius: 6, padding: 8, titleFont: { size: 13, weight: 600 }, bodyFont: { size: 13 },
    });
    Object.assign(all.scale.grid, { color: ink.line, drawTicks: false });
    all.scale.border.display = false;
    Object.assign(all.scale.ticks, { padding: 6, maxRotation: 0, color: ink.soft });
  }

  /* Three digits and no leading zero: points stand under points, and a fourth digit would be noise. */
  function digits(value, places = 3, sign = false) {
    if (value == null || Number.isNaN(value)) return "not measured";
    const text = Math.abs(value).toFixed(places).replace(/^0(?=\.)/, "");
    return (value < 0 ? "\u2212" : sign ? "+" : "") + text;
  }
  function big(value) {
    return value >= 1e4 ? `${Math.round(value / 1e3)}k` : value >= 1e3 ? `${value / 1e3}k` : String(value);
  }

  /* Every tick of an axis with as many decimals as the one that needs most. */
  function tick(value, _index, all) {
    const places = Math.max(...all.map((one) => (String(Number(one.value.toPrecision(3))).split(".")[1] ?? "").length));
    return value < 0 ? digits(value, places) : digits(value, places);
  }

  /* The mark of a run: its engine's shape and hue; hollow where it is not the first run of that engine shown. */
  function mark(engine, hollow) {
    const shape = SHAPE[engine] ?? "circle";
    const open = hollow || engine === "popularity" || !(engine in SHAPE); /* the floor is a ring */
    const fill = open ? ink.ground : hue(engine);
    return {
      pointStyle: shape, pointRotation: engine === "bivae" ? 180 : 0,
      pointRadius: shape === "rectRot" ? 6 : shape === "circle" ? 5 : 5.5, pointHoverRadius: 7,
      pointBorderWidth: STROKED.has(shape) ? 2.5 : open ? 2 : 0,
      pointBackgroundColor: fill, pointBorderColor: hue(engine),
      pointHoverBackgroundColor: fill, pointHoverBorderColor: hue(engine),
    };
  }
  /* The error bars' own points take their options without the prefix. */
  const bare = (all) => Object.fromEntries(
    Object.entries(all).map(([name, value]) => [name === "pointStyle" ? name : name[5].toLowerCase() + name.slice(6), value]));
  const whiskers = (engine, width = 2, size = 8, alpha = 1) => ({
    errorBarColor: hue(engine, alpha), errorBarWhiskerColor: hue(engine, alpha),
    errorBarLineWidth: width, errorBarWhiskerLineWidth: width, errorBarWhiskerSize: size,
  });
  function drawMark(context, engine, x, y, hollow) {
    const look = mark(engine, hollow);
    context.save();
    Object.assign(context, {
      lineWidth: look.pointBorderWidth || 1, strokeStyle: look.pointBorderColor, fillStyle: look.pointBackgroundColor });
    Chart.helpers.drawPoint(
      context, { pointStyle: look.pointStyle, rotation: look.pointRotation, radius: 5, borderWidth: look.pointBorderWidth }, x, y);
    context.restore();
  }
  function width(text) {
    reading.font = `500 13px ${font()}`;
    return reading.measureText(text).width;
  }
  const widest = (texts) => Math.max(0, ...texts.map(width));

  /* -- the table behind a figure */
  const words = (element) => element.textContent.replace(/\s+/g, " ").trim();
  const number = (text) => (text === undefined || text === "" ? null : Number(text));
  const read = (cell) => ({ v: number(cell?.dataset.v), lo: number(cell?.dataset.lo), hi: number(cell?.dataset.hi) });
  const rows = (figure) => [...figure.querySelectorAll(":scope table > tbody > tr")];

  window.House = { ink, theme, colour, hue, font, digits, big, tick, mark, bare, whiskers, drawMark, widest, words, number, read, rows };
})();
