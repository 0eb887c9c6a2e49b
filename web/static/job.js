// Follows a job: asks each second while the page is seen and the job is not finished.

import { getJson, sleep } from "./http.js";
import { count, duration } from "./words.js";

const INTERVAL_MS = 1000;
const STATES = ["predicted", "rejected", "failed", "ready", "received"];

const find = (id) => document.getElementById(id);
const panel = find("progress");
const url = `/api/v1/jobs/${panel.dataset.job}`;

function show(job) {
  find("state").textContent = stateWords(job);
  find("rate").textContent = job.images_per_second ? `${job.images_per_second.toFixed(1)} images/s` : "";
  find("left").textContent = !job.finished && job.seconds_left ? `· about ${duration(job.seconds_left)} left` : "";
  for (const place of document.querySelectorAll("[data-count]")) {
    place.textContent = count(job[place.dataset.count]);
  }
  showBar(job);
}

function stateWords(job) {
  if (job.finished) return "Finished";
  if (!job.closed_at) return job.total ? "Reading, and open for more files" : "Waiting for files";
  return "Reading";
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
  const done = job.predicted + job.rejected + job.failed;
  bar.setAttribute("aria-label", `${done} of ${job.total} images done`);
}

// The refused files, a page at a time; pages that are full never change, so they are not asked again.
class Reasons {
  constructor() {
    this.states = { rejected: { next: 1 }, failed: { next: 1 } };
    this.shown = new Set();
    this.known = -1;
  }

  async update(job) {
    const number = job.rejected + job.failed;
    if (number === this.known) return;
    this.known = number;
    find("refused").hidden = number === 0;
    find("refused-title").textContent = `Rejected or failed files (${count(number)})`;
    if (number && this.shown.size < 100) await this.more();
    else find("more").hidden = this.shown.size >= number;
  }

  async more() {
    for (const [state, place] of Object.entries(this.states)) {
      const page = await getJson(`${url}/images?state=${state}&page=${place.next}`);
      for (const image of page.images) this.add(image);
      if (page.next) place.next = page.next;
    }
    find("more").hidden = this.shown.size >= this.known;
  }

  add(image) {
    if (this.shown.has(image.image_id)) return;
    this.shown.add(image.image_id);
    const item = document.createElement("li");
    const file = document.createElement("span");
    file.className = "file";
    file.textContent = image.file;
    item.append(file, image.reason ?? image.status);
    find("reasons").append(item);
  }
}

function becomesVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

async function follow() {
  const reasons = new Reasons();
  find("more").addEventListener("click", () => reasons.more());
  for (;;) {
    try {
      const job = await getJson(url);
      show(job);
      await reasons.update(job);
      if (job.finished) return;
    } catch (error) {
      if (error.status === 401) return location.reload();
      find("state").textContent = "The service does not answer; trying again";
    }
    await sleep(INTERVAL_MS);
    await becomesVisible();
  }
}

follow();
