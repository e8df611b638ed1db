/* What every page needs a script for: dark or light, "/" to search, closing menus and toasts, sentences for screen readers. */
(() => {
  const root = document.documentElement;

  function dark() {
    return root.dataset.theme ? root.dataset.theme === "night" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function switchLights() {
    root.dataset.theme = dark() ? "matinee" : "night";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* kept for this page only */ }
    say(dark() ? "Dark" : "Light");
  }

  function say(sentence) {
    const said = document.getElementById("said");
    if (said) said.textContent = sentence;
  }

  function typing(element) {
    return element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.lights !== undefined) switchLights();
    if (button?.dataset.dismiss !== undefined) button.closest(".says")?.remove();
    if (button?.dataset.show !== undefined) showWord(button);
    for (const menu of document.querySelectorAll("details.me[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  /* A form that leaves the page is sent once, however often its button is pressed meanwhile; htmx minds its own. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post") || event.defaultPrevented) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 10000); /* no answer came: it may be tried again */
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  function showWord(button) {
    const field = document.getElementById(button.dataset.show);
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target)) {
      const search = document.querySelector("[data-search-main]") ?? document.querySelector("[data-search]");
      if (search?.checkVisibility()) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
    if (event.key === "Escape") {
      const menu = event.target.closest("details.me[open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
    }
  });

  /* A toast leaves by itself after 12 s, but never while it is read, pointed at or holds the focus. */
  function ageToasts() {
    for (const toast of document.querySelectorAll(".says")) {
      const held = toast.matches(":hover, :focus-within");
      const age = held ? 0 : Number(toast.dataset.age ?? 0) + 1;
      toast.dataset.age = age;
      if (age > 12) toast.remove();
    }
  }
  setInterval(ageToasts, 1000);

  /* Where a swap took the focused element away: to the new content's landing place, else back to where one came from,
     else to the first thing that can be used in the part that was swapped. */
  let left = [];
  let part = "";
  document.addEventListener("htmx:before:swap", () => {
    const at = document.activeElement;
    const film = at?.closest(".film")?.querySelector("a"); /* stays when its film's button goes */
    left = [at?.id, film?.id, ...left].filter(Boolean).slice(0, 5);
    part = at?.closest("form")?.parentElement?.closest("[id]")?.id ?? "";
  });
  document.addEventListener("htmx:after:swap", () => {
    if (document.activeElement !== document.body) return;
    const inside = part ? [...document.querySelectorAll(`#${CSS.escape(part)} :is(a, button, summary, input)`)] : [];
    const back = [...left.map((id) => document.getElementById(id)), ...inside].find((each) => each?.checkVisibility());
    (document.querySelector("[data-land]") ?? back)?.focus({ preventScroll: true });
  });

  /* What is still turning visible can't take the focus: it is tried again with each frame, so many times. */
  function enter(element, frames) {
    element?.focus();
    if (element && document.activeElement !== element && frames) requestAnimationFrame(() => enter(element, frames - 1));
  }

  /* A dialog that came from the server opens over the page; Escape closes it and gives the focus back. */
  document.addEventListener("htmx:after:swap", () => {
    const dialog = document.querySelector("dialog[data-open]:not([open])");
    dialog?.showModal();
    if (dialog) enter(dialog.querySelector("[autofocus]"), 30);
  });
  document.addEventListener("close", (event) => { if (event.target.dataset?.open !== undefined) event.target.remove(); }, true);

  /* A server that is gone is said in words, once, until it answers; the page stays as it was. */
  function tellGone(polled) {
    if (document.getElementById("gone")) return;
    const line = document.createElement("div");
    line.id = "gone";
    line.className = "float says";
    line.textContent = polled
      ? "The server does not answer, so this page stands still. It goes on by itself when the server is back."
      : "The server did not answer. Nothing was changed; try again.";
    document.getElementById("toasts")?.replaceChildren(line);
  }
  const polls = (ctx) => ctx?.sourceElement?.getAttribute("hx-trigger")?.startsWith("every") ?? false;
  document.addEventListener("htmx:error", (event) => {
    if (event.detail.ctx?.request) tellGone(polls(event.detail.ctx));
  });
  document.addEventListener("htmx:after:request", (event) => {
    const status = event.detail.ctx.response.status;
    if (status === 502 || status === 504) tellGone(polls(event.detail.ctx)); /* a proxy says so for the server */
    else document.getElementById("gone")?.remove();
  });
})();
