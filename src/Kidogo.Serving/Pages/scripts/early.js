// Runs before the first paint, so that nobody sees the wrong theme flash by. Decides light or dark, and nothing else.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try {
      chosen = JSON.parse(localStorage.getItem("kidogo.theme"));
    } catch {
      // Storage may be forbidden: then the system decides.
    }
    document.documentElement.dataset.theme = chosen === "dark" || (chosen !== "light" && dark.matches) ? "dark" : "light";
  };
  dark.addEventListener("change", apply);
  document.addEventListener("theme", apply);
  apply();
})();
