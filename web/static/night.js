// Follows a night: polls each second while the page is visible, and reloads it at the end.

import { getJson, sleep } from "./http.js";
import { sentence } from "./words.js";

const INTERVAL_MS = 1000;
const panel = document.getElementById("night");

function show(night) {
  const find = (id) => document.getElementById(id);
  find("night-state").textContent = sentence(night.words);
  find("night-bar").value = night.share;
  find("night-progress").textContent = night.progress;
  for (const stage of panel.querySelectorAll("[data-stage]")) {
    if (stage.dataset.stage === night.stage) stage.setAttribute("aria-current", "step");
    else stage.removeAttribute("aria-current");
  }
}

function becomesVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

async function follow() {
  for (;;) {
    await sleep(INTERVAL_MS);
    await becomesVisible();
    try {
      const night = await getJson(`/api/v1/nights/${panel.dataset.night}`);
      if (!night.is_open) return location.reload();
      show(night);
    } catch (error) {
      if (error.status === 401) return location.reload();
      document.getElementById("night-state").textContent = "The service does not respond; trying again";
    }
  }
}

if (panel) follow();
