/* What figures write beside their marks: names of rows and lines, moments on an axis, names of points. No legends. */
(() => {
  "use strict";
  const { House } = window;
  const { ink } = House;

  function pen(chart, weight = 450) {
    chart.ctx.font = `${weight} 13px ${House.font()}`;
    return chart.ctx;
  }
  function stroke(ctx, style, points, dash = []) {
    ctx.save();
    ctx.strokeStyle = style;
    ctx.lineWidth = 1;
    ctx.setLineDash(dash);
    ctx.beginPath();
    points.forEach(([x, y], place) => (place ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    ctx.stroke();
    ctx.restore();
  }

  /* Rows are named beside their marks, or above them where it is narrow; values stand at the right. */
  const rowLabels = {
    id: "rowLabels",
    beforeDatasetsDraw(chart, _args, said) {
      if (!said.rows) return;
      const { chartArea: area, scales: { x, y } } = chart;
      const ctx = pen(chart);
      ctx.save();
      ctx.textBaseline = "middle";
      const upright = (at, style, dash) => stroke(ctx, style, [[x.getPixelForValue(at), area.top], [x.getPixelForValue(at), area.bottom]], dash);
      if (x.min <= 0 && x.max >= 0) upright(0, ink.axis);
      said.rows.forEach((row, place) => {
        const middle = y.getPixelForValue(place);
        const line = said.narrow ? middle - 17 : middle;
        if (said.bars && row.v != null) {
          ctx.fillStyle = House.hue(row.engine, 0.2);
          ctx.fillRect(x.getPixelForValue(0), middle - 8, x.getPixelForValue(row.v) - x.getPixelForValue(0), 16);
        }
        if (said.ruled && place) stroke(ctx, ink.line, [[0, y.getPixelForValue(place - 0.5)], [area.right, y.getPixelForValue(place - 0.5)]]);
        let left = 0;
        if (row.engine) {
          House.drawMark(ctx, row.engine, 7, line, row.hollow);
          left = 18;
        }
        ctx.textAlign = "left";
        ctx.fillStyle = ink.text;
        pen(chart, row.on ? 650 : 450).fillText(row.label, left, line);
        pen(chart).textAlign = "right";
        ctx.fillStyle = row.strong ? ink.text : ink.soft;
        if (row.text) ctx.fillText(row.text, chart.width, line);
      });
      ctx.restore();
    },
  };

  /* Lines are named at their last point, pushed apart where they would meet. */
  const endLabels = {
    id: "endLabels",
    afterDatasetsDraw(chart, _args, said) {
      if (!said.on) return;
      const { chartArea: area } = chart;
      const ctx = pen(chart);
      ctx.save();
      ctx.textBaseline = "middle";
      const ends = chart.data.datasets
        .map((set, place) => ({ set, last: [...chart.getDatasetMeta(place).data].reverse().find((point) => !point.skip) }))
        .filter(({ set, last }) => set.label && !set.band && last)
        .map(({ set, last }) => ({ set, x: last.x, y: last.y, want: last.y }))
        .sort((one, other) => one.y - other.y);
      for (let round = 0; round < 30; round++) {
        for (let place = 1; place < ends.length; place++) {
          const gap = 16 - (ends[place].y - ends[place - 1].y);
          if (gap > 0) { ends[place].y += gap / 2; ends[place - 1].y -= gap / 2; }
        }
      }
      const over = ends.length ? ends.at(-1).y - (area.bottom - 4) : 0;
      for (const end of ends) {
        end.y -= Math.max(0, over);
        if (Math.abs(end.want - end.y) > 3) stroke(ctx, ink.axis, [[area.right + 2, end.want], [area.right + 6, end.y]]);
        House.drawMark(ctx, end.set.engine, area.right + 12, end.y, end.set.hollow);
        ctx.fillStyle = ink.text;
        ctx.fillText(end.set.label, area.right + 20, end.y);
      }
      ctx.restore();
    },
  };

  /* Points of a scatter are named beside themselves, in the first free of ten places. */
  const nearLabels = {
    id: "nearLabels",
    afterDatasetsDraw(chart, _args, said) {
      if (!said.on) return;
      const { chartArea: area, scales: { y } } = chart;
      const ctx = pen(chart);
      ctx.save();
      ctx.textBaseline = "middle";
      const points = chart.data.datasets.map((set, place) => ({ set, point: chart.getDatasetMeta(place).data[0] })).filter(({ set, point }) => set.engine && point);
      const taken = points.flatMap(({ set, point }) => {
        const [raw] = set.data;
        const whisker = raw.yMin == null ? [] : [[point.x - 4, y.getPixelForValue(raw.yMax), 8, y.getPixelForValue(raw.yMin) - y.getPixelForValue(raw.yMax)]];
        return [[point.x - 7, point.y - 7, 14, 14], ...whisker];
      });
      const meets = (a, b) => b[0] < a[0] + a[2] && a[0] < b[0] + b[2] && b[1] < a[1] + a[3] && a[1] < b[1] + b[3];
      const free = (box) => box[0] >= 0 && box[0] + box[2] <= chart.width && box[1] >= 0 && box[1] + box[3] <= area.bottom && !taken.some((other) => meets(box, other));
      for (const { set, point } of points) {
        const wide = ctx.measureText(set.label).width;
        const tries = [[10, -8], [10, -22], [-wide - 10, -8], [10, 6], [-wide - 10, 6], [-wide - 10, -22], [10, 20], [-wide - 10, 20], [10, -40], [10, 36]]
          .map(([right, down]) => [point.x + right, point.y + down, wide, 15]);
        const box = tries.find(free) ?? tries[0];
        taken.push(box);
        ctx.fillStyle = ink.text;
        ctx.fillText(set.label, box[0], box[1] + 8);
      }
      ctx.restore();
    },
  };

  Object.assign(House, { rowLabels, endLabels, nearLabels });
})();
