/* Figures and live curves. The table is the data: its rows are read, drawn and then hidden from the eye only.
   No table, no chart; no script, the table. A live curve swapped in anew keeps its canvas and gets the new points;
   a figure (data-chart, see lab-kinds.js) is drawn afresh when it comes, when the lights change or runs did. */
(() => {
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const asTables = new Set(); /* figures that somebody wants to read, by heading: a live one is swapped each second */
  const reading = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  /* Any CSS colour, variables and color-mix included, as rgb(): the canvas does not know variables. */
  function colour(expression) {
    const probe = document.createElement("i");
    probe.style.color = expression;
    document.body.append(probe);
    reading.fillStyle = getComputedStyle(probe).color;
    probe.remove();
    reading.fillRect(0, 0, 1, 1);
    const [red, green, blue] = reading.getImageData(0, 0, 1, 1).data;
    return `rgb(${red}, ${green}, ${blue})`;
  }

  /* Every tick of an axis with as many decimals as the one that needs most, so that points stand under points. */
  function tick(value, _index, all) {
    const places = Math.max(...all.map((one) => (String(Number(one.value.toPrecision(3))).split(".")[1] ?? "").length));
    return value.toFixed(places).replace(/^(-?)0\./, "$1.").replace("-", "\u2212");
  }

  function points(figure) {
    return [...figure.querySelectorAll("tbody tr")]
      .map((row) => ({ x: Number(row.querySelector("[data-x]").dataset.x), y: Number(row.querySelector("td").dataset.v) }))
      .filter((point) => Number.isFinite(point.y));
  }

  function options() {
    const soft = colour("var(--ink-2)");
    const axis = { grid: { color: colour("var(--line)"), drawTicks: false }, border: { display: false } };
    const ticks = { color: soft, padding: 6, maxRotation: 0, maxTicksLimit: 5, font: { family: css("font-family"), size: 13 } };
    return {
      animation: false, responsive: true, maintainAspectRatio: false,
      plugins: { legend: { display: false }, tooltip: { displayColors: false } },
      scales: {
        x: { ...axis, type: "linear", ticks: { ...ticks, precision: 0 } },
        y: { ...axis, ticks: { ...ticks, callback: tick } },
      },
    };
  }

  function draw(figure, anew = false) {
    const hue = colour(`var(--e-${figure.dataset.curve}, var(--ink-2))`);
    const holder = figure.querySelector(".canvas");
    const line = { data: points(figure), borderColor: hue, backgroundColor: hue, borderWidth: 2, pointRadius: 3, tension: 0 };
    figure.classList.add("drawn");
    show(figure, asTables.has(heading(figure)));
    let canvas = holder.querySelector("canvas");
    const chart = canvas && Chart.getChart(canvas);
    if (chart && !anew) { /* it grows: the new points are put behind the old ones */
      const drawn = chart.data.datasets[0].data, fresh = line.data.slice(drawn.length);
      if (!fresh.length) return;
      drawn.push(...fresh);
      chart.update("none");
      return;
    }
    if (chart) {
      chart.data.datasets = [line];
      chart.options = options();
      chart.update("none");
      return;
    }
    canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true"); /* the table beside it says the same */
    holder.replaceChildren(canvas);
    new Chart(canvas, { type: "line", data: { datasets: [line] }, options: options() });
  }

  function drawFigure(figure) {
    const { House } = window;
    const make = House?.kinds[figure.dataset.chart];
    if (!make || !figure.querySelector("tbody tr") || figure.closest("details:not([open])")) return;
    let holder = figure.querySelector(".canvas");
    if (!holder) {
      holder = document.createElement("div");
      holder.className = `canvas ${figure.dataset.h ?? ""}`;
      figure.querySelector(".scroll").before(holder);
    }
    figure.classList.add("drawn");
    show(figure, asTables.has(heading(figure)));
    if (figure.classList.contains("as-table")) return;
    figure.chart?.destroy();
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true"); /* the table beside it says the same */
    holder.replaceChildren(canvas);
    figure.dataset.thin = House.narrow(figure);
    figure.chart = new Chart(canvas, make(figure));
  }

  /* The picture of one figure on the page's ground, as a file. */
  function save(figure) {
    const drawn = figure.querySelector("canvas");
    if (!drawn) return;
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [drawn.width, drawn.height];
    const pen = copy.getContext("2d");
    pen.fillStyle = colour("var(--color-base-100)");
    pen.fillRect(0, 0, copy.width, copy.height);
    pen.drawImage(drawn, 0, 0);
    const link = document.createElement("a");
    link.download = `${heading(figure).trim().toLowerCase().replace(/[^a-z0-9]+/g, "-")}.png`;
    link.href = copy.toDataURL("image/png");
    link.click();
  }

  const heading = (figure) => figure.querySelector("h2, h3").textContent;

  function show(figure, asTable) {
    figure.classList.toggle("as-table", asTable);
    figure.querySelector("[data-table]").textContent = asTable ? "Show as chart" : "Show as table";
  }

  const figures = () => [...document.querySelectorAll("figure[data-chart]")];
  function drawAll() {
    document.querySelectorAll("figure[data-curve]").forEach((figure) => draw(figure, true));
    if (!window.House || !figures().length) return;
    window.House.theme();
    figures().forEach(drawFigure);
  }
  const drawNew = () => {
    document.querySelectorAll("figure[data-curve]").forEach((figure) => draw(figure));
    figures().filter((figure) => !figure.chart).forEach(drawFigure);
  };

  document.addEventListener("click", (event) => {
    const picture = event.target.closest("[data-png]");
    if (picture) save(picture.closest("figure"));
    const button = event.target.closest("[data-table]");
    if (!button) return;
    const figure = button.closest("figure");
    if (!asTables.delete(heading(figure))) asTables.add(heading(figure));
    show(figure, asTables.has(heading(figure)));
    if (figure.dataset.chart) drawFigure(figure);
  });
  document.addEventListener("htmx:after:swap", drawNew);
  document.addEventListener("toggle", drawNew, true); /* what lay in closed details has no size until now */
  document.body.addEventListener("runs-changed", drawAll);
  let resized = 0;
  addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => {
      figures().filter((figure) => figure.chart && figure.dataset.thin !== String(window.House.narrow(figure))).forEach(drawFigure);
    }, 120);
  });
  new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
  document.fonts.load(`13px ${css("font-family")}`).then(drawAll, () => {}); /* a canvas does not wait for its letters */
})();
