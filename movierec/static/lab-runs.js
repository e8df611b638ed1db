/* The list of runs: rows that open, and which runs are ticked for a comparison, also across filters and pages. */
(() => {
  const ticked = new Map(); /* number of the run -> its name */

  function tell() {
    for (const box of document.querySelectorAll("input[form=chosen][name=run]")) box.checked = ticked.has(box.value);
    const form = document.getElementById("chosen");
    if (!form) return;
    const many = ticked.size;
    form.querySelector("[data-chosen]").textContent = many
      ? `${many} chosen: ${[...ticked.values()].join(", ")}` : "Tick two to eight runs to compare them.";
    form.querySelector("button").textContent = many > 1 ? `Compare ${many} runs` : "Compare";
    for (const old of form.querySelectorAll("input[name=run]")) old.remove();
    for (const run of ticked.keys()) {
      if (document.querySelector(`input[form=chosen][value="${run}"]`)) continue; /* ticked out of sight */
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: "run", value: run });
      form.append(field);
    }
  }

  document.addEventListener("change", ({ target: box }) => {
    if (box.getAttribute("form") !== "chosen") return;
    if (box.checked) ticked.set(box.value, box.dataset.name);
    else ticked.delete(box.value);
    tell();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const row = document.getElementById(opener.dataset.opens);
    row.hidden = !row.hidden;
    opener.setAttribute("aria-expanded", String(!row.hidden));
    opener.closest("tr").classList.toggle("is-open", !row.hidden);
  });
  document.addEventListener("htmx:after:swap", tell);
  for (const box of document.querySelectorAll("input[form=chosen]:checked")) ticked.set(box.value, box.dataset.name);
  tell();
})();
