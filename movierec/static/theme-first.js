/* Before the first paint: the reader's own choice of lights; without one the system's choice stands (theme.css). */
(() => {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* storage is closed to us: the system's choice stands */ }
  if (theme === "night" || theme === "matinee") document.documentElement.dataset.theme = theme;
})();
