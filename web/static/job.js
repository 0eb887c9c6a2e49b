// Follows a job: polls each second while the page is visible and the job is not finished.

import { act } from "./job_actions.js";
import { Reasons, listUploads } from "./job_files.js";
import { getJson, sleep } from "./http.js";
import { count, duration, sentence } from "./words.js";

const INTERVAL_MS = 1000;
const STATES = ["predicted", "rejected", "failed", "cancelled", "ready", "received"];

const find = (id) => document.getElementById(id);
const panel = find("progress");
const url = `/api/v1/jobs/${panel.dataset.job}`;

function show(job) {
  find("state").textContent = stateWords(job);
  const hasRate = job.images_per_second && !job.cancelled_at;
  find("rate").textContent = hasRate ? `${job.images_per_second.toFixed(1)} images/s` : "";
  find("left").textContent = !job.finished && job.seconds_left ? `· about ${duration(job.seconds_left)} left` : "";
  for (const place of document.querySelectorAll("[data-count]")) {
    place.textContent = count(job[place.dataset.count]);
  }
  for (const place of document.querySelectorAll("[data-where]")) {
    place.hidden = !WHERE[place.dataset.where](job);
  }
  const cause = job.waiting_for?.message;
  find("waiting-for").textContent = cause ? `${sentence(cause)}.` : "";
  showBar(job);
}

// When each part is shown; the template uses the same rules (templates/job.html).
const isOpen = (job) => !job.closed_at && !job.cancelled_at;
const WHERE = {
  open: (job) => isOpen(job) && (find("drop") || job.missing > 0),
  missing: (job) => job.missing > 0,
  complete: (job) => job.missing === 0,
  running: (job) => !job.finished && !job.cancelled_at,
  cancelled: (job) => job.cancelled > 0,
  failed: (job) => job.failed + job.cancelled > 0,
  finished: (job) => job.finished && job.total > 0,
  "given-up": (job) => job.given_up > 0,
};

function stateWords(job) {
  if (job.cancelled_at) return "Cancelled";
  if (job.finished && job.given_up) return `Finished, incomplete: ${neverArrived(job)}`;
  if (job.finished) return "Finished";
  if (job.closed_at) return "Processing";
  if (job.missing) return job.total ? "Processing; waiting for more files" : "Waiting for files";
  return job.total ? "Processing; open for more files" : "Waiting for files";
}

function neverArrived(job) {
  return `${count(job.given_up)} of ${count(job.declared)} declared files never arrived`;
}

function showBar(job) {
  const bar = panel.querySelector("[data-stack]");
  let x = 0;
  for (const state of STATES) {
    const width = job.total ? (100 * job[state]) / job.total : 0;
    const part = bar.querySelector(`[data-state="${state}"]`);
    part.setAttribute("x", x);
    part.setAttribute("width", width);
    x += width;
  }
  const done = job.total - job.ready - job.received;
  bar.setAttribute("aria-label", `${done} of ${job.total} images done`);
}

function becomesVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

async function follow() {
  const reasons = new Reasons(url);
  for (;;) {
    try {
      const job = await getJson(url);
      show(job);
      await reasons.update(job);
      if (job.finished) return;
    } catch (error) {
      if (error.status === 401) return location.reload();
      find("state").textContent = "The service does not respond; trying again";
    }
    await sleep(INTERVAL_MS);
    await becomesVisible();
  }
}

for (const place of document.querySelectorAll("[data-uploads]")) listUploads(place, url);
for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => act(button, url));
}
follow();
