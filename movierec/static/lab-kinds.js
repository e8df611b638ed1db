/* The kinds of figures: from a table to what Chart.js draws. dots: a row a run, with its interval; groups: several runs
   a row; lines: over steps or films known; scatter: one metric against another with its Pareto edge; hist: counts. */
(() => {
  "use strict";
  const { House } = window;
  const { ink, digits, big, tick, mark, bare, whiskers, read, rows, words } = House;
  const narrow = (figure) => figure.clientWidth < 520;
  const has = (figure, name) => figure.dataset[name] !== undefined;
  const title = (text) => (text ? { display: true, text, color: ink.soft, padding: { top: 2, bottom: 0 }, align: "end" } : { display: false });
  const height = (figure, pixels) => { figure.querySelector(".canvas").style.height = `${pixels}px`; };
  const interval = (cell, sign) => (cell.lo == null ? "" : ` [${digits(cell.lo, 3, sign)}, ${digits(cell.hi, 3, sign)}]`);
  const hidden = { display: false, reverse: true };
  const powers = (value) => (Number.isInteger(Math.log10(value)) ? big(value) : "");

  function dots(figure) {
    const thin = narrow(figure), sign = has(figure, "zero");
    const all = rows(figure).map((row) => {
      const cell = read(row.querySelector("td"));
      return {
        ...cell, engine: row.dataset.e, hollow: row.dataset.hollow !== undefined, on: row.dataset.on !== undefined,
        strong: row.dataset.strong !== undefined, label: words(row.querySelector("th")),
        text: cell.v == null ? "not measured" : digits(cell.v, 3, sign) + (thin ? "" : ` ${interval(cell, sign)}`),
      };
    });
    height(figure, all.length * (thin ? 46 : 32) + 48);
    const data = all.map((row, place) => ({
      label: row.label, ...bare(mark(row.engine, row.hollow)), ...whiskers(row.engine),
      data: row.v == null ? [] : [{ x: row.v, y: place, xMin: row.lo ?? row.v, xMax: row.hi ?? row.v }],
    }));
    return {
      type: "scatterWithErrorBars", data: { datasets: data }, plugins: [House.rowLabels],
      options: {
        layout: { padding: { left: thin ? 0 : House.widest(all.map((row) => row.label)) + 32, right: thin ? 8 : House.widest(all.map((row) => row.text)) + 20 } },
        scales: {
          x: { beginAtZero: true, title: title(figure.dataset.xlabel), ticks: { maxTicksLimit: 6, callback: tick } },
          y: { ...hidden, min: thin ? -0.9 : -0.5, max: all.length - 0.5 },
        },
        plugins: {
          rowLabels: { rows: all, narrow: thin, bars: has(figure, "bars") },
          tooltip: { callbacks: { label: (at) => `${all[at.datasetIndex].label}: ${digits(all[at.datasetIndex].v, 3, sign)}${interval(all[at.datasetIndex], sign)}` } },
        },
      },
    };
  }

  function groups(figure) {
    const thin = narrow(figure), heads = [...figure.querySelectorAll("thead th[data-e]")], many = heads.length;
    const found = rows(figure), step = (thin ? 32 : 14) + 9 * many;
    const all = found.map((row) => ({ label: words(row.querySelector("th")), text: row.dataset.n ? `n ${row.dataset.n}` : "" }));
    height(figure, all.length * step + 40);
    const down = (column) => ((column - (many - 1) / 2) * 9 + (thin ? 9 : 0)) / step;
    const data = heads.map((head, column) => ({
      label: words(head), ...bare({ ...mark(head.dataset.e, head.dataset.hollow !== undefined), pointRadius: 4 }),
      ...whiskers(head.dataset.e, 1.5, 4),
      data: found.flatMap((row, place) => {
        const cell = read(row.querySelectorAll("td")[column + 1]);
        return cell.v == null ? [] : [{ x: cell.v, y: place + down(column), xMin: cell.lo ?? cell.v, xMax: cell.hi ?? cell.v, row: all[place].label, cell }];
      }),
    }));
    return {
      type: "scatterWithErrorBars", data: { datasets: data }, plugins: [House.rowLabels],
      options: {
        layout: { padding: { left: thin ? 0 : House.widest(all.map((row) => row.label)) + 20, right: thin ? 4 : 64 } },
        scales: {
          x: { beginAtZero: true, title: title(figure.dataset.xlabel), ticks: { maxTicksLimit: 6, callback: tick } },
          y: { ...hidden, min: -0.5, max: all.length - 0.5 },
        },
        plugins: {
          rowLabels: { rows: all, narrow: thin, ruled: true },
          tooltip: { callbacks: { title: () => "", label: (at) => `${at.dataset.label}, ${at.raw.row}: ${digits(at.raw.cell.v)}${interval(at.raw.cell)}` } },
        },
      },
    };
  }

  function lines(figure) {
    const found = rows(figure), thin = narrow(figure), spaced = figure.dataset.x === "cat";
    const heads = [...figure.querySelectorAll("thead th")].slice(1);
    const names = found.map((row) => words(row.querySelector("th")));
    const xs = found.map((row, place) => (spaced ? place : Number(row.querySelector("th").dataset.x)));
    const sets = heads.flatMap((head, column) => {
      const engine = head.dataset.e ?? "", hollow = head.dataset.hollow !== undefined;
      const cells = found.map((row) => read(row.querySelectorAll("td")[column]));
      const points = (of) => cells.map((cell, place) => ({ x: xs[place], y: cell[of], cell })).filter((point) => point.y != null);
      const edge = (of) => ({ band: true, data: points(of), borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, fill: of === "hi" ? "-1" : false, backgroundColor: House.hue(engine, 0.14) });
      const bands = heads.length <= 2 && cells.some((cell) => cell.lo != null) ? [edge("lo"), edge("hi")] : [];
      return [...bands, {
        label: words(head), engine, hollow, data: points("v"), borderColor: House.hue(engine), borderWidth: 2,
        borderDash: hollow ? [4, 3] : [], ...mark(engine, hollow), pointRadius: found.length > 24 || has(figure, "bare") ? 0 : 3.5,
        tension: 0, fill: has(figure, "area") ? "origin" : false, backgroundColor: House.hue(engine, 0.14),
      }];
    });
    const labelled = figure.dataset.labels !== "none" && !thin;
    const log = (name) => (figure.dataset[name] === "log" ? "logarithmic" : "linear");
    const across = figure.dataset.x === "log" ? powers : spaced ? (value) => names[value] ?? "" : big;
    return {
      type: "line", data: { datasets: sets }, plugins: [House.endLabels],
      options: {
        layout: { padding: { top: 6, right: labelled ? House.widest(sets.filter((set) => !set.band).map((set) => set.label)) + 26 : 12 } },
        interaction: { mode: "nearest", axis: "x", intersect: false },
        scales: {
          x: {
            type: log("x"), grid: { display: false }, border: { display: true, color: ink.axis }, title: title(figure.dataset.xlabel),
            ticks: { maxTicksLimit: thin ? 5 : 9, precision: 0, callback: across, ...(spaced ? { stepSize: 1 } : {}) },
          },
          y: { type: log("y"), beginAtZero: has(figure, "from0"), ticks: { maxTicksLimit: 5, callback: figure.dataset.y === "log" ? powers : has(figure, "int") ? big : tick } },
        },
        plugins: {
          endLabels: { on: labelled },
          tooltip: {
            filter: (at) => !at.dataset.band,
            callbacks: {
              title: (all) => (all[0] ? names[xs.indexOf(all[0].parsed.x)] ?? String(all[0].parsed.x) : ""),
              label: (at) => `${at.dataset.label}: ${has(figure, "int") ? at.parsed.y.toLocaleString("en") : digits(at.parsed.y) + interval(at.raw.cell)}`,
            },
          },
        },
      },
    };
  }

  /* The rows that no other beats on both axes, along the axis: what the server marked as the edge. */
  function scatter(figure) {
    const all = rows(figure).map((row) => {
      const [x, y] = [...row.querySelectorAll("td")].map(read);
      return { engine: row.dataset.e, hollow: row.dataset.hollow !== undefined, edge: row.dataset.edge !== undefined, label: words(row.querySelector("th")), x, y };
    }).filter((row) => row.x.v != null && row.y.v != null);
    const edge = all.filter((row) => row.edge).sort((one, other) => one.x.v - other.x.v).map((row) => ({ x: row.x.v, y: row.y.v }));
    const data = all.map((row) => ({
      label: row.label, engine: row.engine, ...bare(mark(row.engine, row.hollow)), ...whiskers(row.engine, 1.5, 6, 0.6),
      data: [{ x: row.x.v, y: row.y.v, yMin: row.y.lo ?? row.y.v, yMax: row.y.hi ?? row.y.v, row }],
    }));
    data.push({ type: "line", label: "", data: edge, borderColor: ink.soft, borderWidth: 1, borderDash: [3, 3], pointRadius: 0, pointHoverRadius: 0, order: 9 });
    const logX = figure.dataset.x === "log";
    return {
      type: "scatterWithErrorBars", data: { datasets: data }, plugins: [House.nearLabels],
      options: {
        layout: { padding: { top: 8, right: 12 } },
        scales: {
          x: { type: logX ? "logarithmic" : "linear", title: title(figure.dataset.xlabel), border: { display: true, color: ink.axis }, grid: { display: false }, ticks: { maxTicksLimit: 7, callback: logX ? powers : tick } },
          y: { beginAtZero: true, title: title(figure.dataset.ylabel), ticks: { maxTicksLimit: 6, callback: tick } },
        },
        plugins: {
          nearLabels: { on: true },
          tooltip: { filter: (at) => at.dataset.engine, callbacks: { label: ({ raw: { row } }) => `${row.label}: ${figure.dataset.ylabel} ${digits(row.y.v)}${interval(row.y)}, ${figure.dataset.xlabel} ${digits(row.x.v)}` } },
        },
      },
    };
  }

  function hist(figure) {
    const found = rows(figure), names = found.map((row) => row.dataset.short ?? words(row.querySelector("th")));
    const every = Math.ceil(found.length / (narrow(figure) ? 5 : 10));
    const series = figure.dataset.series ?? "";
    return {
      type: "bar",
      data: {
        labels: names,
        datasets: [{ label: series, data: found.map((row) => read(row.querySelector("td")).v), backgroundColor: found.map((row) => (row.dataset.mark === undefined ? ink.bar : ink.amber)), categoryPercentage: 1, barPercentage: 0.92, minBarLength: 1 }],
      },
      options: {
        layout: { padding: { top: 6, right: 4 } },
        scales: {
          x: { grid: { display: false }, border: { display: true, color: ink.axis }, title: title(figure.dataset.xlabel), ticks: { autoSkip: false, callback: (_, place) => (place % every === 0 ? names[place] : "") } },
          y: { beginAtZero: true, ticks: { maxTicksLimit: 5, precision: 0, callback: big } },
        },
        plugins: { tooltip: { callbacks: { title: (all) => words(found[all[0].dataIndex].querySelector("th")), label: (at) => `${at.parsed.y.toLocaleString("en")} ${series}` } } },
      },
    };
  }

  House.kinds = { dots, groups, lines, scatter, hist };
  House.narrow = narrow;
})();
