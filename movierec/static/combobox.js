/* The search field with its list of films: the ARIA 1.2 combobox. Without this script it is a plain search form. */
(() => {
  const PAUSE = 60; // milliseconds after the last key before the server is asked

  class Combobox {
    constructor(form) {
      this.url = form.dataset.combobox;
      this.field = form.querySelector("input[type=search]");
      this.list = document.createElement("ul");
      this.list.id = `${this.field.id || "find"}-options`;
      this.list.className = "float options";
      this.list.hidden = true;
      this.list.setAttribute("role", "listbox");
      this.list.setAttribute("aria-label", "Films");
      form.append(this.list);
      for (const [name, value] of Object.entries({
        role: "combobox", "aria-expanded": "false", "aria-controls": this.list.id,
        "aria-autocomplete": "list", "aria-haspopup": "listbox",
      })) this.field.setAttribute(name, value);
      this.field.addEventListener("input", () => this.ask());
      this.field.addEventListener("keydown", (event) => this.key(event));
      this.field.addEventListener("blur", () => this.close());
      this.list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus in the field
      this.list.addEventListener("click", (event) => this.go(event.target.closest("[role=option]")));
    }

    get options() { return [...this.list.querySelectorAll("[role=option]")]; }
    get active() { return this.list.querySelector("[aria-selected=true]"); }

    ask() {
      clearTimeout(this.timer);
      this.asked?.abort();
      if (!this.field.value.trim()) { this.close(); return; }
      this.timer = setTimeout(() => this.fetch(), PAUSE);
    }

    async fetch() {
      this.asked = new AbortController();
      const url = `${this.url}?${new URLSearchParams({ q: this.field.value })}`;
      try {
        const answer = await fetch(url, { headers: { "HX-Request": "true" }, signal: this.asked.signal });
        if (!answer.ok) { this.close(); return; }
        this.show(await answer.text());
      } catch (error) {
        if (error.name !== "AbortError") this.close(); // the plain search still works when the line is back
      }
    }

    show(html) {
      this.list.innerHTML = html;
      for (const option of this.options) option.id = `${this.list.id}-${option.id}`;
      this.list.hidden = !this.options.length || document.activeElement !== this.field;
      this.field.setAttribute("aria-expanded", String(!this.list.hidden));
      this.field.removeAttribute("aria-activedescendant");
      const films = this.options.length - 1;
      if (!this.list.hidden) document.getElementById("said").textContent = `${films} film${films === 1 ? "" : "s"}`;
    }

    close() {
      clearTimeout(this.timer);
      this.asked?.abort();
      this.list.hidden = true;
      this.field.setAttribute("aria-expanded", "false");
      this.choose(null);
    }

    choose(option) {
      this.active?.setAttribute("aria-selected", "false");
      option?.setAttribute("aria-selected", "true");
      option?.scrollIntoView({ block: "nearest" });
      if (option) this.field.setAttribute("aria-activedescendant", option.id);
      else this.field.removeAttribute("aria-activedescendant");
    }

    move(step) {
      if (this.list.hidden) { this.ask(); return; }
      const options = this.options;
      const at = options.indexOf(this.active);
      const next = at < 0 && step < 0 ? options.length - 1 : at + step;
      this.choose(options[next] ?? null); // past either end the field itself is active again
    }

    go(option) {
      if (option) location.assign(option.dataset.url);
    }

    key(event) {
      if (event.isComposing) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        this.move(event.key === "ArrowDown" ? 1 : -1);
      } else if (event.key === "Enter" && this.active) {
        event.preventDefault();
        this.go(this.active);
      } else if (event.key === "Escape") {
        if (!this.list.hidden) event.preventDefault();
        else this.field.value = "";
        this.close();
      }
    }
  }

  for (const form of document.querySelectorAll("[data-combobox]")) new Combobox(form);
})();
