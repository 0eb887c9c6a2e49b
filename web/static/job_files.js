// Lists of files on a job's page: those that were refused, those that never came.

import { getJson } from "./http.js";
import { bytes, count } from "./words.js";

// The refused files, a page at a time; pages that are full never change, so they are not asked again.
export class Reasons {
  constructor(url) {
    this.url = url;
    this.states = { rejected: { next: 1 }, failed: { next: 1 } };
    this.shown = new Set();
    this.known = -1;
    this.button = document.getElementById("more");
    this.button.addEventListener("click", () => this.more());
  }

  async update(job) {
    const number = job.rejected + job.failed;
    if (number === this.known) return;
    this.known = number;
    document.getElementById("refused").hidden = number === 0;
    document.getElementById("refused-title").textContent = `Rejected or failed files (${count(number)})`;
    if (number && this.shown.size < 100) await this.more();
    else this.button.hidden = this.shown.size >= number;
  }

  async more() {
    for (const [state, place] of Object.entries(this.states)) {
      const page = await getJson(`${this.url}/images?state=${state}&page=${place.next}`);
      for (const image of page.images) this.add(image);
      if (page.next) place.next = page.next;
    }
    this.button.hidden = this.shown.size >= this.known;
  }

  add(image) {
    if (this.shown.has(image.image_id)) return;
    this.shown.add(image.image_id);
    document.getElementById("reasons").append(entry(image.file, image.reason ?? image.status));
  }
}

// A `details` that asks for its list when it is opened, and again when it is opened again.
export function listUploads(details, url) {
  const list = details.querySelector("ul");
  const more = details.querySelector("button");
  let next = 1;

  async function show() {
    const page = await getJson(`${url}/uploads?state=${details.dataset.uploads}&page=${next}`);
    list.append(...page.uploads.map((upload) => entry(upload.file, howFar(upload))));
    next = page.next;
    more.hidden = !next;
  }

  details.addEventListener("toggle", () => {
    if (!details.open) return;
    list.replaceChildren();
    next = 1;
    show();
  });
  more.addEventListener("click", show);
}

function howFar({ received, size }) {
  return received ? `${bytes(received)} of ${bytes(size)} arrived` : bytes(size);
}

function entry(name, words) {
  const item = document.createElement("li");
  const file = document.createElement("span");
  file.className = "file";
  file.textContent = name;
  item.append(file, words);
  return item;
}
