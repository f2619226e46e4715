// The site reads well without this script; it only adds two small touches.
(() => {
  "use strict";

  // Mark today's row in the opening hours (rows carry 0 for Sunday to 6 for Saturday).
  const today = String(new Date().getDay());
  for (const row of document.querySelectorAll("tr[data-days]")) {
    if (row.dataset.days.includes(today)) row.classList.add("today");
  }

  // Let the little lamp flash like the real one: "3/20" is three flashes every twenty seconds.
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const lamp of document.querySelectorAll("[data-flashes]")) {
    const [flashes, period] = lamp.dataset.flashes.split("/").map(Number);
    const cycle = () => {
      for (let flash = 0; flash < flashes; flash += 1) {
        setTimeout(() => lamp.classList.add("lit"), flash * 2000);
        setTimeout(() => lamp.classList.remove("lit"), flash * 2000 + 600);
      }
    };
    cycle();
    setInterval(cycle, period * 1000);
  }
})();
